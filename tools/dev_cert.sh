#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes a throw-away certificate for this machine, FILE.pem and FILE.key, unless there is one that is good for
# another day. Nobody trusts it: browsers will ask. Usage: dev_cert.sh FILE   (called by 'make serve TLS=1')
set -eu
file=$1
command -v openssl >/dev/null || { echo "dev_cert: openssl is not installed" >&2; exit 1; }
if openssl x509 -in "$file.pem" -noout -checkend 86400 >/dev/null 2>&1 && [ -r "$file.key" ]; then
	exit 0
fi
mkdir -p "$(dirname "$file")"
umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=localhost" \
	-addext "subjectAltName=DNS:localhost,DNS:$(hostname),IP:127.0.0.1,IP:::1" \
	-keyout "$file.key" -out "$file.pem" 2>/dev/null
echo "dev_cert: made $file.pem, which no browser trusts"
