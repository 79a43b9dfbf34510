#!/bin/sh
# Makes the certificates and keys of the tests, valid for a hundred years. They are committed: nothing needs to run this.
# The keys protect nothing.
set -eu
cd "$(dirname "$0")"
rm -f ./*.crt ./*.key ./*.csr ./*.srl

# name, key options, subjectAltName
self_signed() {
  openssl req -x509 -nodes -days 36500 -subj "/CN=$1" -addext "subjectAltName=$3" -keyout "$1.key" -out "$1.crt" $2
}
# name, issuer, extensions: signs a new EC key
signed() {
  openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
  printf '%s\n' "$3" >ext.tmp
  openssl x509 -req -days 36500 -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -extfile ext.tmp -out "$1.crt"
  rm -f "$1.csr" "$2.srl" ext.tmp
}
ec="-newkey ec -pkeyopt ec_paramgen_curve:"

self_signed a.test "-newkey rsa:2048" DNS:a.test,DNS:localhost,IP:127.0.0.1
self_signed b.test "${ec}P-256" DNS:b.test,DNS:*.b.test
self_signed c.test "-newkey ed25519" DNS:c.test
self_signed d.test "${ec}P-384" DNS:d.test
self_signed e.test "${ec}P-521" DNS:e.test

# The key of a.test in its other forms; the passphrase is "sesame".
openssl rsa -traditional -in a.test.key -out a.pkcs1.key
openssl rsa -aes128 -passout pass:sesame -in a.test.key -out a.encrypted.key
openssl rsa -traditional -aes128 -passout pass:sesame -in a.test.key -out a.encrypted-pkcs1.key
openssl ec -in b.test.key -out b.sec1.key

# Clients: one of an authority, one that nobody vouches for.
self_signed authority "${ec}P-256" DNS:authority.test
signed client authority "extendedKeyUsage=clientAuth"
self_signed stranger "${ec}P-256" DNS:stranger.test

# A server's certificate behind an intermediate one: chain.crt holds both.
signed intermediate authority "basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign"
signed leaf.test intermediate "subjectAltName=DNS:leaf.test"
cat leaf.test.crt intermediate.crt >chain.crt
rm -f intermediate.key leaf.test.crt intermediate.crt

# Version 1, as a bare `openssl x509 -req` made them.
openssl req -new -key b.test.key -subj /CN=old.test -out old.csr
openssl x509 -req -days 36500 -in old.csr -signkey b.test.key -out old.crt
rm -f old.csr authority.key
