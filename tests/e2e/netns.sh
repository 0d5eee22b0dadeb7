#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/e2e/netns.sh COMMAND... — runs it in a network namespace of its own: loopback, one veth address of each family
# and a default route (without a route browsers gather no candidate). In a user namespace too where not root.
set -eu
PATH=$PATH:/usr/sbin:/sbin

if [ "${SL_NETNS:-}" != inside ]; then
	export SL_NETNS=inside
	[ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null && exec unshare --net -- "$0" "$@"
	exec unshare --map-root-user --net -- "$0" "$@"
fi

ip link set lo up
# Loss is per packet, not per run of packets that a sender handed over at once.
ip link set lo gso_max_segs 1
ip link add media0 type veth peer name media1
ip addr add 10.99.0.1/24 dev media0
ip -6 addr add fd99::1/64 dev media0 nodad 2>/dev/null || true
ip link set media1 up
ip link set media0 up
ip route add default via 10.99.0.2 dev media0
ip -6 route add default via fd99::2 dev media0 2>/dev/null || true
exec "$@"
