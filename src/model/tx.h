/* model/tx.h - what the files of the transaction codec share. Inside the room only. */
#ifndef MODEL_TX_H
#define MODEL_TX_H

#include <svm/tx.h>

enum {
    TX_AUTHS_BYTES = 98, /* one Ed25519 auth: count, tag, public key, signature */
    /* SVM_TX_BYTES_MAX bounds the SignedTransaction, so this much is left for the Transaction. */
    TX_UNSIGNED_BYTES_MAX = SVM_TX_BYTES_MAX - TX_AUTHS_BYTES
};

/* Variant tags on the wire that have no enum in <svm/types.h>. */
enum tx_variant { TX_VARIANT_V1 = 0, TX_VARIANT_PRIVATE = 1 };
enum tx_auth { TX_AUTH_ED25519 = 0 };
enum tx_privacy { TX_PRIVACY_PUBLIC = 0, TX_PRIVACY_PRIVATE = 1 };

/* What a signature covers: this prefix (scope transaction, version 0, app 'S'), then BCS(Transaction). */
enum { TX_PREFIX_BYTES = 3 };
extern const uint8_t model_tx_prefix[TX_PREFIX_BYTES];

/* model_tx_refuse: fill REFUSAL (may be NULL) with ERR and the formatted reason; gives ERR back.
 * The fields that `has` names are the caller's to set afterwards. */
__attribute__((format(printf, 3, 4))) enum svm_err
model_tx_refuse(struct svm_refusal *refusal, enum svm_err err, const char *format, ...);

/* model_tx_check_form: what the encoding itself demands of TX: counts, enumerations, type strings, sizes, the order of the
 * inputs. Returns SVM_OK or SVM_E_OP_INVALID. */
SVM_MUST_USE enum svm_err model_tx_check_form(const struct svm_tx *tx, struct svm_refusal *refusal);

/* model_tx_check_ops: what the operations may do to the inputs. For a TX whose form is good. */
SVM_MUST_USE enum svm_err model_tx_check_ops(const struct svm_tx *tx, struct svm_refusal *refusal);

/* model_type_is_good: [a-z0-9._:-]{1,64}. */
bool model_type_is_good(struct svm_bytes type);

#endif
