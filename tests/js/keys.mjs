// Keys, signatures and digests from node:crypto and WebCrypto alone.
import { createHash, createPrivateKey, createPublicKey, sign, webcrypto } from 'node:crypto';

import { SignedTransaction, Transaction } from './schema.mjs';

const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex'); // Ed25519 private key, then the seed

export const sha256 = (...parts) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return new Uint8Array(hash.digest());
};

export const message = (txBytes) => Buffer.concat([Uint8Array.of(0x00, 0x00, 0x53), txBytes]);
export const digest = (txBytes) => sha256(message(txBytes));

export function keyOf(seed) {
    const der = Buffer.concat([pkcs8, seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    const publicKey = new Uint8Array(spki.subarray(spki.length - 32));
    return { seed, der, key, publicKey, address: sha256(Uint8Array.of(0), publicKey) };
}

const seal = (txBytes, key, signature) =>
    Buffer.concat([txBytes, Uint8Array.of(1, 0), key.publicKey, signature]);

export const signNode = (txBytes, key) => seal(txBytes, key, sign(null, message(txBytes), key.key));

export async function signWeb(txBytes, key) {
    const imported = await webcrypto.subtle.importKey('pkcs8', key.der, 'Ed25519', false, ['sign']);
    return seal(txBytes, key, new Uint8Array(await webcrypto.subtle.sign('Ed25519', imported, message(txBytes))));
}

export async function verifyWeb(signedBytes) {
    const { tx, auths } = SignedTransaction.parse(signedBytes);
    const { public_key, signature } = auths[0].Ed25519;
    const imported = await webcrypto.subtle.importKey('raw', public_key, 'Ed25519', false, ['verify']);
    const txBytes = Transaction.serialize(tx).toBytes();
    return webcrypto.subtle.verify('Ed25519', imported, signature, message(txBytes));
}
