package main

// relay LISTEN DIAL: leads connections from one address to another, each `unix:PATH` or `tcp:HOST:PORT`. Two of them with a
// socket between lead from one network namespace into another.
import (
	"io"
	"net"
	"os"
	"strings"
)

func relayMain() {
	if len(os.Args) != 3 {
		panic("relay LISTEN DIAL")
	}
	network, address, _ := strings.Cut(os.Args[1], ":")
	if network == "unix" {
		_ = os.Remove(address)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		panic(err)
	}
	network, address, _ = strings.Cut(os.Args[2], ":")
	for {
		near, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer near.Close()
			far, err := net.Dial(network, address)
			if err != nil {
				return
			}
			defer far.Close()
			done := make(chan struct{}, 2)
			lead := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				if half, ok := to.(interface{ CloseWrite() error }); ok {
					_ = half.CloseWrite()
				}
				done <- struct{}{}
			}
			go lead(far, near)
			go lead(near, far)
			<-done
			<-done
		}()
	}
}
