#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/dist/install_test.sh — what dist/install-packages does as root, as a user who may sudo, and as one who may not.
# Nothing is installed: apt-get, dpkg-query, sudo and id are stand-ins that write down what they were asked, and
# /usr/sbin, where the policy against daemons goes, is an empty folder of a mount namespace.
set -eu
if [ "${SL_MOUNTS:-}" != inside ]; then
	export SL_MOUNTS=inside
	unshare --mount true 2>/dev/null && exec unshare --mount -- "$0" "$@"
	exec unshare --map-root-user --mount -- "$0" "$@"
fi
real=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'umount /usr/sbin; rm -rf "$tree"' EXIT
mkdir "$tree/sbin" "$tree/bin" "$tree/dist"
mount --bind "$tree/sbin" /usr/sbin
[ -z "$(ls -A /usr/sbin)" ]
policy=/usr/sbin/policy-rc.d
export LOG="$tree/log" INSTALLED="$tree/installed" PATH="$tree/bin:/usr/bin:/bin"
install="$tree/dist/install-packages"
cp "$real/dist/install-packages" "$install"
passed=0
failed=0

# stand_in NAME: a command, its text from standard input.
stand_in()
{
	{ echo '#!/bin/sh'; cat; } >"$tree/bin/$1"
	chmod 755 "$tree/bin/$1"
}

# A machine with one package of three and nobody's policy, whose user is $1: root, sudoer or nobody.
plant()
{
	rm -f "$LOG" "$policy" "$tree"/bin/*
	: >"$LOG"
	echo there >"$INSTALLED"
	printf '# remark\n[run]\nthere\nlacking\n\n[test]\n# another\nbrowser\nsuite !sh\nshell !no-such-command\n' \
		>"$tree/dist/packages"
	printf '[chip]\nours @%s\nelse @another\n' "$(dpkg --print-architecture)" >>"$tree/dist/packages"
	stand_in dpkg-query <<-'END'
		for package; do :; done
		grep -qx "$package" "$INSTALLED" && { printf installed; exit 0; }
		echo "dpkg-query: no packages found matching $package" >&2
		exit 1
	END
	stand_in apt-get <<-'END'
		echo "apt-get $* as ${DEBIAN_FRONTEND:-}" >>"$LOG"
		/usr/sbin/policy-rc.d some-daemon start && echo 'a daemon may start' >>"$LOG"
		echo "policy: $?" >>"$LOG"
	END
	case $1 in
	root) echo 'echo 0' ;;
	*) echo 'echo 1000' ;;
	esac | stand_in id
	case $1 in
	nobody) echo 'exit 1' ;;
	*) echo 'echo "sudo $*" >>"$LOG"' ;;
	esac | stand_in sudo
}

# run STATUS PART...: the script ends with that status; what it says is in "said".
run()
{
	want=$1
	shift
	status=0
	"$install" "$@" >"$tree/said" 2>&1 || status=$?
	is "exit status of $*" "$status" "$want"
}

is()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'install-packages: %s\n is: %s\nnot: %s\n' "$1" "$2" "$3"
	fi
}

asked()
{
	is 'what apt-get was asked' "$(grep '^apt-get' "$LOG" || true)" "$1"
}

no_policy()
{
	is 'policy that is left behind' "$(ls /usr/sbin)" ''
}

# Nothing is missing: not a word, and nothing is asked of anybody.
for who in root sudoer nobody; do
	plant $who
	printf 'there\nlacking\n' >"$INSTALLED"
	run 0 run
	is 'said' "$(cat "$tree/said")" ''
	is 'asked' "$(cat "$LOG")" ''
done

# Root: only what is missing, of the parts named; what comes as a command of another package is not missing.
plant root
run 0 run test
asked 'apt-get -q update as noninteractive
apt-get -q -y --no-install-recommends install lacking browser shell as noninteractive'
plant root
run 0 run
asked 'apt-get -q update as noninteractive
apt-get -q -y --no-install-recommends install lacking as noninteractive'

# What is for another architecture is not missing here.
plant root
run 0 chip
asked 'apt-get -q update as noninteractive
apt-get -q -y --no-install-recommends install ours as noninteractive'

# No daemon starts while packages are put in, and the policy is gone afterwards.
is 'a start of a daemon' "$(grep -c 'policy: 101' "$LOG")" 2
no_policy

# Also when apt-get fails, whose status it is then, and when somebody interrupts.
plant root
echo 'exit 100' >>"$tree/bin/apt-get"
run 100 run
no_policy
plant root
# shellcheck disable=SC2016
echo 'kill -TERM $PPID' >>"$tree/bin/apt-get"
run 130 run
no_policy

# A policy that the machine has stays as it is.
plant root
printf '#!/bin/sh\nexit 104\n' >"$policy"
chmod 755 "$policy"
run 0 run
is 'the policy asked' "$(grep -c 'policy: 104' "$LOG")" 2
is 'the policy' "$(tail -n 1 "$policy")" 'exit 104'

# A user who may: the same script by sudo, without a question.
plant sudoer
run 0 run test
is 'what sudo was asked' "$(cat "$LOG")" "sudo -n true
sudo -n $install run test"

# A user who may not: the packages, and one command to type.
plant nobody
run 1 run test
is 'asked' "$(cat "$LOG")" ''
is 'said' "$(cat "$tree/said")" "These packages are missing: lacking browser shell
Type this, and then the same make command again:
    sudo $install run test"

# What nobody can mend here.
plant root
run 2 nonsense
is 'said' "$(cat "$tree/said")" "$install: dist/packages has no part [nonsense]"
run 2 run nonsense
run 2
is 'said' "$(cat "$tree/said")" "usage: $install PART..."
asked ''

# Not a Debian system.
mkdir "$tree/bare"
for tool in sh dirname sed grep; do
	ln -s "$(command -v $tool)" "$tree/bare/$tool"
done
PATH="$tree/bare" run 1 run test
is 'said' "$(cat "$tree/said")" "$install: not a Debian system; install by hand: there lacking browser shell"

# The list itself: three parts, and no package twice in one (two parts may need the same one).
is 'the parts' "$(grep '^\[' "$real/dist/packages" | tr -d '\n')" '[run][test][bench]'
is 'packages listed twice' "$(sed -n -e '/^\[/{h;d}' -e '/^#/d' -e '/./{G;s/\n/ /;p}' "$real/dist/packages" | sort | uniq -d)" ''

echo "install-packages: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
