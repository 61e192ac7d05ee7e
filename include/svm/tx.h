/* svm/tx.h - keys and transactions without a node: build, encode, decode, sign, verify.
 *
 * Everything here is pure: no global state, any thread, nothing kept. Wire format: docs/protocol.md (BCS). */
#ifndef SVM_TX_H
#define SVM_TX_H

#include <svm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys ------------------------------------------------------------------------------------------------- */

/* svm_key_generate: a fresh Ed25519 seed from the operating system's randomness. */
void svm_key_generate(struct svm_secret_key *key_out);
void svm_key_public(struct svm_public_key *public_out, const struct svm_secret_key *key);
void svm_key_address(struct svm_address *address_out, const struct svm_public_key *public_key);
void svm_key_wipe(struct svm_secret_key *key);

/* svm_key_load: read a key file (one line, 0x + 64 hex digits of the seed).
 * Leaves no copy of the seed but *key_out; svm_key_wipe that.
 * Returns  SVM_OK; SVM_E_BAD_KEY when malformed or readable by group or others; SVM_E_IO. */
SVM_MUST_USE enum svm_err svm_key_load(struct svm_secret_key *key_out, const char *path);
/* svm_key_save: write a new key file with mode 0600; never overwrites.
 * Returns  SVM_OK; SVM_E_IO (the file exists, or cannot be written). */
SVM_MUST_USE enum svm_err svm_key_save(const struct svm_secret_key *key, const char *path);

/* svm_sign / svm_verify: Ed25519 (RFC 8032) over MESSAGE; accepts what libsodium 1.0.18 accepts. */
void svm_sign(struct svm_signature *signature_out, const struct svm_secret_key *key,
              struct svm_bytes message);
SVM_MUST_USE bool svm_verify(const struct svm_public_key *public_key,
                             const struct svm_signature *signature, struct svm_bytes message);

/* ---- codec ------------------------------------------------------------------------------------------------ */

/* Storage for one decoded transaction of any legal size (about 60 KiB). The decoded transaction points into it and
 * into the bytes it was decoded from. */
struct svm_tx_space {
    struct svm_input inputs[SVM_TX_INPUTS_MAX];
    struct svm_op ops[SVM_TX_OPS_MAX];
};

/* A decoded SignedTransaction V1. */
struct svm_signed_tx {
    struct svm_tx tx;
    struct svm_public_key public_key;
    struct svm_signature signature;
    struct svm_bytes tx_bytes; /* BCS(Transaction): what was signed, behind the three-byte prefix */
};

/* svm_tx_encode: BCS(Transaction::V1(TX)) into BUF.
 *   len_out  out  bytes needed, also when they do not fit
 * Returns  SVM_OK; SVM_E_OP_INVALID (not encodable: bad type string, unsorted inputs, ...: REFUSAL says);
 *          SVM_E_TX_TOO_LARGE (beyond CAP or SVM_TX_BYTES_MAX). */
SVM_MUST_USE enum svm_err svm_tx_encode(uint8_t *buf, size_t cap, size_t *len_out,
                                        const struct svm_tx *tx);

/* svm_tx_decode: strict BCS(Transaction), the whole of BYTES, with the static rules of operations checked
 * (svm_tx_check). Returns SVM_OK, SVM_E_TX_DECODE, SVM_E_TX_TOO_LARGE, SVM_E_UNSUPPORTED_VERSION,
 * SVM_E_PRIVACY_UNAVAILABLE or SVM_E_OP_INVALID, with REFUSAL (may be NULL) filled: offset or op, and reason. */
SVM_MUST_USE enum svm_err svm_tx_decode(struct svm_tx *tx_out, struct svm_tx_space *space,
                                        struct svm_bytes bytes, struct svm_refusal *refusal);

/* svm_tx_check: the rules that need no state: indices in range, only writable inputs written, inputs closed by
 * Transfer / Share / Freeze / Delete not used again, amounts > 0, from != into, shared objects neither transferred,
 * deleted, shared nor frozen, type strings, sizes.  Returns SVM_OK or SVM_E_OP_INVALID. */
SVM_MUST_USE enum svm_err svm_tx_check(const struct svm_tx *tx, struct svm_refusal *refusal);

/* svm_tx_digest: SHA-256(0x00 0x00 0x53 || TX_BYTES). */
void svm_tx_digest(struct svm_digest *digest_out, struct svm_bytes tx_bytes);

/* svm_tx_sign: TX_BYTES -> SignedTransaction bytes with one Ed25519 auth.
 * Returns SVM_OK or SVM_E_TX_TOO_LARGE (CAP). Exactly tx_bytes.len + 98 bytes are written. */
SVM_MUST_USE enum svm_err svm_tx_sign(uint8_t *buf, size_t cap, size_t *len_out,
                                      struct svm_bytes tx_bytes, const struct svm_secret_key *key);

/* svm_signed_tx_decode: strict BCS(SignedTransaction). Does not verify the signature.
 * Returns as svm_tx_decode. */
SVM_MUST_USE enum svm_err svm_signed_tx_decode(struct svm_signed_tx *stx_out,
                                               struct svm_tx_space *space, struct svm_bytes bytes,
                                               struct svm_refusal *refusal);

/* svm_signed_tx_verify: the auth's address is the sender and its signature verifies.
 * Returns SVM_OK or SVM_E_BAD_SIGNATURE (REFUSAL's reason tells which). */
SVM_MUST_USE enum svm_err svm_signed_tx_verify(const struct svm_signed_tx *stx,
                                               struct svm_refusal *refusal);

/* svm_tx_new_object_id: id of the object that operation OP_INDEX of the transaction creates. */
void svm_tx_new_object_id(struct svm_id *id_out, const struct svm_digest *digest,
                          uint16_t op_index);

/* svm_object_digest: SHA-256(BCS(id, version, kind and owner, controller, open_withdraw, balance, type, data)). */
void svm_object_digest(struct svm_digest *digest_out, const struct svm_object *object);

/* ---- builder ---------------------------------------------------------------------------------------------- */

/* A transaction under construction. Inputs may be added in any order: svm_tx_builder_finish sorts them and rewrites
 * the operations' indices, so an `input` argument is the handle that the adding call returned.
 * All add_ functions return a handle or -1 when a limit is met; the error sticks and finish reports it. */
struct svm_tx_builder;
struct svm_tx_builder *svm_tx_builder_create(uint64_t chain, const struct svm_address *sender);
void svm_tx_builder_destroy(struct svm_tx_builder *builder);
void svm_tx_builder_nonce(struct svm_tx_builder *builder, uint64_t nonce);
void svm_tx_builder_expires(struct svm_tx_builder *builder, uint64_t expires_ms);
void svm_tx_builder_gas_limit(struct svm_tx_builder *builder, uint64_t gas_limit);
int svm_tx_builder_owned(struct svm_tx_builder *builder, const struct svm_id *id, uint64_t version);
int svm_tx_builder_owned_latest(struct svm_tx_builder *builder, const struct svm_id *id);
int svm_tx_builder_shared(struct svm_tx_builder *builder, const struct svm_id *id, bool writable);
int svm_tx_builder_immutable(struct svm_tx_builder *builder, const struct svm_id *id);
/* svm_tx_builder_op: append a copy of OP (its bytes are copied too); `input` and `into` are handles. */
int svm_tx_builder_op(struct svm_tx_builder *builder, const struct svm_op *op);
/* svm_tx_builder_finish: encode. As svm_tx_encode, after svm_tx_check. The builder may be used again. */
SVM_MUST_USE enum svm_err svm_tx_builder_finish(struct svm_tx_builder *builder, uint8_t *buf,
                                                size_t cap, size_t *len_out,
                                                struct svm_refusal *refusal);

#ifdef __cplusplus
}
#endif
#endif
