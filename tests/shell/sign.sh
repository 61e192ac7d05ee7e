#!/bin/sh
# Builds and signs a SuperVM transaction with a POSIX shell, od and OpenSSL 3 alone, as docs/protocol.md describes it.
#
#   sign.sh SEED CHAIN INPUT VERSION TO AMOUNT [NONCE] [GAS_LIMIT]
#       SEED, INPUT (an owned object), TO (an address): 64 hexadecimal digits; the others decimal
#
# Pays AMOUNT out of INPUT at VERSION to TO and prints the signed transaction in base64, as tx_submit takes it.
set -eu

seed=${1#0x} chain=$2 input=${3#0x} version=$4 to=${5#0x} amount=$6 nonce=${7:-1} gas_limit=${8:-2000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# bytes: hexadecimal digits on stdin to bytes, with nothing but printf.
bytes() {
    fold -w 2 | while read -r byte || [ -n "$byte" ]; do
        printf "\\$(printf %03o "0x$byte")"
    done
}

# u64: a decimal number as eight bytes, the least significant first, in hexadecimal. Arithmetic in the shell is signed;
# printf %x takes the whole range.
u64() {
    printf '%016x' "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\8\7\6\5\4\3\2\1/'
}

# The key in PKCS #8: a fixed head, then the seed. The public key is the end of its DER form.
umask 077
printf '302e020100300506032b657004220420%s' "$seed" | bytes >"$dir/key.der"
openssl pkey -inform DER -in "$dir/key.der" -out "$dir/key.pem"
public=$(openssl pkey -in "$dir/key.pem" -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n')
sender=$(printf '00%s' "$public" | bytes | openssl dgst -sha256 -r | cut -c 1-64)

# Transaction::V1 { chain, sender, nonce, expires_ms = 0, gas_limit, privacy = 0,
#                   inputs = [Owned { id, version: Some }], ops = [Pay { from = 0, to, amount }] }
tx=00$(u64 "$chain")$sender$(u64 "$nonce")$(u64 0)$(u64 "$gas_limit")00
tx=${tx}0100${input}01$(u64 "$version")
tx=${tx}01010000${to}$(u64 "$amount")

# The message is 00 00 53 and the transaction; the signature is plain Ed25519.
printf '000053%s' "$tx" | bytes >"$dir/message"
openssl pkeyutl -sign -rawin -inkey "$dir/key.pem" -in "$dir/message" -out "$dir/signature"
signature=$(od -An -v -tx1 "$dir/signature" | tr -d ' \n')

# SignedTransaction { tx, auths = [Ed25519 { public_key, signature }] }
printf '%s0100%s%s' "$tx" "$public" "$signature" | bytes | openssl base64 -A
echo
