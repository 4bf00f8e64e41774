package main

// A cluster DNS server for tests: A records of Services (ClusterIP and headless), names of StatefulSet pods behind
// headless Services, ExternalName as CNAME. Any other name is NXDOMAIN: there is nothing outside to ask.
import (
	"context"
	"flag"
	"net"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	v1 "k8s.io/client-go/listers/core/v1"
	dv1 "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

type dnsServer struct {
	zone string // "cluster.local"
	svc  v1.ServiceLister
	eps  dv1.EndpointSliceLister
}

// lookup returns the addresses of name (lower case, no trailing dot), a CNAME target, and whether the name exists.
func (d *dnsServer) lookup(name string) (ips []net.IP, cname string, ok bool) {
	p := strings.Split(strings.TrimSuffix(name, ".svc."+d.zone), ".")
	if !strings.HasSuffix(name, ".svc."+d.zone) || len(p) < 2 || len(p) > 3 {
		return nil, "", false
	}
	ns, svc, host := p[len(p)-1], p[len(p)-2], ""
	if len(p) == 3 {
		host = p[0]
	}
	s, err := d.svc.Services(ns).Get(svc)
	if err != nil {
		return nil, "", false
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, s.Spec.ExternalName + ".", host == ""
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		return []net.IP{net.ParseIP(s.Spec.ClusterIP)}, "", host == ""
	}
	sl, _ := d.eps.EndpointSlices(ns).List(labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: svc}))
	for _, e := range sl {
		for _, ep := range e.Endpoints {
			ready := ep.Conditions.Ready == nil || *ep.Conditions.Ready || s.Spec.PublishNotReadyAddresses
			if !ready || host != "" && (ep.Hostname == nil || *ep.Hostname != host) {
				continue
			}
			for _, a := range ep.Addresses {
				ips = append(ips, net.ParseIP(a))
			}
		}
	}
	return ips, "", len(ips) > 0 || host == ""
}

func (d *dnsServer) answer(q []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(q)
	if err != nil {
		return nil
	}
	qs, err := p.Question()
	if err != nil {
		return nil
	}
	ips, cname, ok := d.lookup(strings.ToLower(strings.TrimSuffix(qs.Name.String(), ".")))
	rh := dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	if !ok {
		rh.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, rh)
	b.EnableCompression()
	_ = b.StartQuestions()
	_ = b.Question(qs)
	_ = b.StartAnswers()
	rr := dnsmessage.ResourceHeader{Name: qs.Name, Class: dnsmessage.ClassINET, TTL: 1}
	if cname != "" {
		if n, err := dnsmessage.NewName(cname); err == nil {
			_ = b.CNAMEResource(rr, dnsmessage.CNAMEResource{CNAME: n})
		}
	} else if qs.Type == dnsmessage.TypeA {
		for _, ip := range ips {
			if v4 := ip.To4(); v4 != nil {
				_ = b.AResource(rr, dnsmessage.AResource{A: [4]byte(v4)})
			}
		}
	}
	out, _ := b.Finish()
	return out
}

func dnsMain() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "")
	listen := flag.String("listen", "10.244.0.1:53", "UDP and TCP address")
	zone := flag.String("zone", "cluster.local", "")
	flag.Parse()
	cfg, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		panic(err)
	}
	cfg.AcceptContentTypes, cfg.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	f := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(cfg), 0)
	d := &dnsServer{zone: *zone, svc: f.Core().V1().Services().Lister(), eps: f.Discovery().V1().EndpointSlices().Lister()}
	f.Start(context.Background().Done())
	f.WaitForCacheSync(context.Background().Done())
	tl, err := net.Listen("tcp", *listen)
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := tl.Accept()
			if err != nil {
				panic(err)
			}
			go func() {
				defer c.Close()
				var l [2]byte
				for {
					if _, err := readFull(c, l[:]); err != nil {
						return
					}
					q := make([]byte, int(l[0])<<8|int(l[1]))
					if _, err := readFull(c, q); err != nil {
						return
					}
					a := d.answer(q)
					_, _ = c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...))
				}
			}()
		}
	}()
	u, err := net.ListenPacket("udp", *listen)
	if err != nil {
		panic(err)
	}
	buf := make([]byte, 4096)
	for {
		n, from, err := u.ReadFrom(buf)
		if err != nil {
			panic(err)
		}
		if a := d.answer(buf[:n]); a != nil {
			_, _ = u.WriteTo(a, from)
		}
	}
}

func readFull(c net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
