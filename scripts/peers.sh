#!/bin/sh
# Installs what the sandbox and the tests run beside Kiln. Does nothing, fast, when everything is there.
#
#   scripts/peers.sh packages   Open vSwitch, OVN and network tools of this machine's Debian ("old stock")
#   scripts/peers.sh stock      OVN and Open vSwitch of Debian's unstable suite, in a folder of their own ("stock")
#   scripts/peers.sh ovsdbapp   ovsdbapp of PyPI, in a Python environment of its own beside that folder
#   scripts/peers.sh scapy      scapy of PyPI, in another one
#   scripts/peers.sh            these four
#   scripts/peers.sh compiler   a C++ compiler, which libFuzzer needs
#
# The folder is /opt/kiln-peers/sid, or what KILN_PEERS names. `scripts/stock PROGRAM ARGS...` runs a program of it.
# No service is started.
set -eu

PEERS=${KILN_PEERS:-/opt/kiln-peers/sid}

# What speaks OVSDB in OpenStack, and the library below it: the versions that are tested against.
OVSDBAPP='ovsdbapp==3.0.0 ovs==3.5.0'

# What makes packets for the tests.
SCAPY='scapy==2.8.0'

# A program, and the package that has it.
TABLE='
ovs-vswitchd openvswitch-switch
ovsdb-server openvswitch-switch
ovn-northd ovn-central
ovn-controller ovn-host
ovn-nbctl ovn-common
ip iproute2
ethtool ethtool
ping iputils-ping
traceroute traceroute
tracepath iputils-tracepath
mtr mtr-tiny
tcpdump tcpdump
curl curl
nc netcat-openbsd
debootstrap debootstrap
'

# What a complete stock folder has.
STOCK_FILES='
usr/bin/ovn-northd
usr/bin/ovn-controller
usr/bin/ovn-nbctl
usr/lib/openvswitch-switch/ovs-vswitchd
usr/sbin/ovsdb-server
usr/share/ovn/ovn-nb.ovsschema
usr/share/openvswitch/vswitch.ovsschema
'

say() { printf '%s\n' "peers: $*" >&2; }
fail() { say "$*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || fail "run this as root: it installs packages"; }

# A program may be linked through a folder that is not on a plain user's path.
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

missing_packages() {
    echo "$TABLE" | while read -r program package; do
        [ -z "$program" ] || has "$program" || echo "$package"
    done | sort -u | tr '\n' ' '
}

refresh_lists() {
    say "refreshing apt's lists"
    apt-get -qq update || fail "apt-get update failed"
}

# Packages of daemons start them; a policy that forbids it stands for as long as the installation takes.
install_quietly() {
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=$policy
    fi
    trap '[ -z "$made" ] || rm -f "$made"' EXIT
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >&2 \
        || fail "apt-get install $* failed"
    [ -z "$made" ] || rm -f "$made"
    trap - EXIT
}

packages() {
    wanted=$(missing_packages)
    [ -n "$wanted" ] || return 0
    need_root
    has apt-get || fail "this needs apt-get; install these by hand: $wanted"
    refresh_lists
    say "installing $wanted"
    # The list is meant to be split.
    # shellcheck disable=SC2086
    install_quietly $wanted
    wanted=$(missing_packages)
    [ -z "$wanted" ] || fail "installed, but still missing: $wanted"
}

has_stock() {
    for file in $STOCK_FILES; do
        [ -f "$PEERS/$file" ] || return 1
    done
}

# The mirror that apt takes Debian's own main component from, whichever file and notation it is configured in.
mirror() {
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' \
        | awk -v codename="$codename" '$1 == "Debian" && $2 == "main" && $3 == codename { print $4; exit }'
}

# A proxy that only apt is told of.
apt_proxy() { apt-config dump Acquire::http::Proxy | sed -n 's/.* "\(.*\)";/\1/p' | grep -v DIRECT || true; }

stock() {
    has_stock && return 0
    need_root
    packages
    mirror=$(mirror)
    if [ -z "$mirror" ]; then
        refresh_lists
        mirror=$(mirror)
    fi
    [ -n "$mirror" ] || fail "apt has no source of Debian's main component to install the stock release from"
    proxy=$(apt_proxy)
    if [ -n "$proxy" ] && [ -z "${http_proxy:-}" ]; then
        export http_proxy="$proxy"
    fi
    part=$PEERS.part
    say "installing OVN and Open vSwitch of Debian's unstable suite in $PEERS (about 75 s, 300 MB)"
    rm -rf "$part"
    mkdir -p "$part"
    if ! debootstrap --variant=minbase --include=ovn-central,ovn-host,openvswitch-switch sid "$part" "$mirror" \
        >"$PEERS.log" 2>&1; then
        tail -n 20 "$PEERS.log" >&2
        fail "debootstrap failed; $PEERS.log has all of it"
    fi
    rm -rf "$part"/var/cache/apt/archives/*.deb "$part"/var/lib/apt/lists/* "$PEERS"
    mv "$part" "$PEERS"
    has_stock || fail "installed, but something is missing in $PEERS"
    say "installed $("$(dirname "$0")"/stock ovn-northd --version | head -n 1)"
}

compiler() {
    has g++ && return 0
    need_root
    has apt-get || fail "this needs apt-get; install g++ by hand"
    refresh_lists
    say "installing g++"
    install_quietly g++
}

# Packages of PyPI in a Python environment of their own: its name, and what is wanted.
python_packages() {
    folder=$(dirname "$PEERS")/$1
    wanted="$folder/$(echo "$2" | tr ' ' '_')"
    [ -e "$wanted" ] && return 0
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        need_root
        refresh_lists
        install_quietly python3-venv
    fi
    say "installing $2 in $folder"
    rm -rf "$folder"
    python3 -m venv "$folder" || fail "python3 -m venv failed"
    # The list is meant to be split.
    # shellcheck disable=SC2086
    "$folder/bin/pip" --quiet --disable-pip-version-check install $2 || fail "pip install failed"
    touch "$wanted"
}

case "${1:-all}" in
packages) packages ;;
stock) stock ;;
compiler) compiler ;;
ovsdbapp) python_packages ovsdbapp "$OVSDBAPP" ;;
scapy) python_packages scapy "$SCAPY" ;;
all) packages && stock && python_packages ovsdbapp "$OVSDBAPP" && python_packages scapy "$SCAPY" ;;
*) fail "expected packages, stock, ovsdbapp, scapy, compiler or nothing, found $1" ;;
esac
