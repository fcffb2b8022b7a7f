#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs the Debian packages that a job needs and that are missing; says which and why before it does. Quiet and quick when
# nothing is missing. Usage: setup.sh build|test|browser|bench|coverage ...   (called by the Makefile)
# PER_SETUP=no in the environment skips all of it, for machines that are set up in another way.
set -eu

# One line a package: the group that needs it, the package, and what for. ? marks one that is only used when it is there.
packages() {
	cat <<-'END'
	build     build-essential     the C compiler and make
	build     cmake               the build system
	build     ninja-build         runs the build
	build     pkg-config          finds libraries
	build     liburing-dev        io_uring
	build     libssl-dev          TLS
	build     zlib1g-dev          WebSocket compression
	build     libcyaml-dev        the program's configuration file
	build     libyaml-dev         line numbers in it
	build     scdoc?              the manual pages
	tls       openssl             a throw-away certificate
	test      openssl             certificates, and a TLS client
	test      libcmocka-dev       unit tests
	test      python3             integration tests and checks
	test      curl                integration tests
	test      clang               fuzzers
	test      libclang-rt-14-dev? libFuzzer and its sanitizers (Debian 12)
	test      clang-format        layout check
	test      clang-tidy          static analysis
	test      valgrind            counting instructions and allocations
	test      strace              counting system calls
	test      media-types?        the database behind src/http/mime_table.h
	test      python3-prometheus-client? Prometheus's parser
	test      python3-websockets? a WebSocket client of somebody else
	browser   chromium?           a browser in ws_chat
	browser   testssl.sh?         a scanner of TLS servers
	browser   nodejs?             npm's WebSocket client
	browser   npm?                npm's WebSocket client
	bench     python3             runs the measurements
	bench     wrk                 load
	bench     nginx-light         the server to compare with
	bench     libnginx-mod-http-brotli-static? its precompressed files
	bench     h2o?                another server to compare with
	bench     openssl             certificates, and which cipher a server takes
	bench     brotli?             precompressed files
	bench     zstd?               precompressed files
	bench     linux-perf?         CPU counters and system calls
	bench     strace              counting system calls
	coverage  gcovr               coverage report
	END
}

[ "${PER_SETUP:-yes}" = no ] && exit 0
[ $# -gt 0 ] || set -- build

if [ "$(uname -s)" != Linux ] || ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
	# Not Debian: whoever has the tools may go on.
	missing=
	for tool in cc cmake ninja pkg-config; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	[ -z "$missing" ] && exit 0
	echo "setup: this is not a Debian system, so nothing can be installed automatically. Missing:$missing" >&2
	echo "setup: please install what corresponds to these Debian packages, then try again" >&2
	echo "setup: (PER_SETUP=no skips this check):" >&2
	for group in "$@"; do
		packages | awk -v g="$group" '$1 == g { $1 = ""; p = $2; sub(/\?$/, "", p); $2 = ""; printf "  %-20s%s\n", p, $0 }' >&2
	done
	exit 1
fi

is_installed() {
	# Node.js often comes from elsewhere, and Debian's npm conflicts with that one.
	case $1 in nodejs | npm) command -v npm >/dev/null 2>&1 && return ;; esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

needed='' optional='' reasons=''
for group in "$@"; do
	list=$(packages | awk -v g="$group" '$1 == g { $1 = ""; print }')
	[ -n "$list" ] || { echo "setup: unknown group '$group'" >&2; exit 2; }
	while read -r package reason; do
		name=${package%\?}
		is_installed "$name" && continue
		case " $needed $optional " in *" $name "*) continue ;; esac
		if [ "$name" = "$package" ]; then needed="$needed $name"; else optional="$optional $name"; fi
		reasons="$reasons$(printf '\n  %-20s %s' "$name" "$reason")"
	done <<-END
	$list
	END
done
# An optional package that this release does not have is no reason to try again each time.
if [ -z "$needed" ]; then
	known=
	for package in $optional; do
		apt-cache show "$package" >/dev/null 2>&1 && known="$known $package"
	done
	optional=$known
fi
[ -z "$needed$optional" ] && exit 0

echo "setup: for: $*. Installing these missing Debian packages:$reasons"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || {
		echo "setup: neither root nor sudo here. As root, run: apt-get install$needed$optional" >&2
		exit 1
	}
	sudo=sudo
fi

# A package must not start a service here (nginx would take port 80), so services are refused while we install.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
	$sudo chmod 755 "$policy"
	made_policy=yes
fi
log=$(mktemp)
tidy_up() {
	rm -f "$log"
	[ "$made_policy" = no ] || $sudo rm -f "$policy"
}
trap tidy_up EXIT
trap 'exit 1' INT TERM HUP

apt() {
	# Waits for another apt-get instead of failing.
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1
}
apt update || { cat "$log"; echo "setup: 'apt-get update' failed; trying with the lists that are here" >&2; }
for package in $optional; do
	apt install --no-install-recommends "$package" || echo "setup: optional package $package is not available; going on"
done
# shellcheck disable=SC2086  # a list
if [ -n "$needed" ] && ! apt install --no-install-recommends $needed; then
	cat "$log" >&2
	echo "setup: installing failed; see above. Needed:$needed" >&2
	exit 1
fi
echo "setup: done"
