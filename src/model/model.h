/* model/model.h - door of the model room: what objects, transactions, effects and receipts are, as bytes and as structs.
 *
 * The public half (transactions, keys, digests) is <svm/tx.h>. This half is what the engine and the store share:
 *
 *      object in memory  <--decode/encode-->  row  (the same bytes stand in effects and in `state`)
 *      effects = digest, sender, seq, node time, status, gas, path + one {id, prior, row} per written object
 *      receipt = effects without the objects' contents
 *
 * Threads: pure functions, any thread. The room refuses to know: tables, versions chains, RocksDB, time, threads. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <svm/tx.h>
#include <svm/types.h>

#include "base/assert.h"

/* ---- objects ---------------------------------------------------------------------------------------------- */

/* One version of an object as it is kept in memory: fixed part, then type, then data. The id is not in it (its holder
 * knows it). `party` is the owner (OWNED), the controller (SHARED) or zero (IMMUTABLE). A deleted object is a tombstone:
 * no party, balance, type or data. */
struct model_object {
    struct svm_address party;
    struct svm_digest last_tx;
    uint64_t version;
    uint64_t balance;
    uint64_t created_ms : 47; /* model_object_times_set */
    uint64_t data_len : 17;   /* model_object_lens_set */
    uint64_t modified_ms : 48;
    uint64_t type_len : 8;
    uint64_t kind : 2; /* enum svm_kind: model_object_kind_set */
    uint64_t open_withdraw : 1;
    uint64_t deleted : 1;
    uint8_t bytes[]; /* type_len bytes, then data_len bytes */
};
_Static_assert(sizeof(struct model_object) == 96, "an object's fixed part");

/* MODEL_MS_MAX: the last time that an object can have, in the year 6429. Later ones are refused in a genesis and in rows; a node's clock stops there.
 * model_object_times_set, model_object_modified_set: none later. */
#define MODEL_MS_MAX (((uint64_t)1 << 47) - 1)
static inline void model_object_modified_set(struct model_object *object, uint64_t modified_ms)
{
    SVM_ASSERT(modified_ms <= MODEL_MS_MAX);
    object->modified_ms = modified_ms & MODEL_MS_MAX;
}
static inline void model_object_times_set(struct model_object *object, uint64_t created_ms,
                                          uint64_t modified_ms)
{
    SVM_ASSERT(created_ms <= MODEL_MS_MAX);
    object->created_ms = created_ms & MODEL_MS_MAX;
    model_object_modified_set(object, modified_ms);
}
static inline void model_object_lens_set(struct model_object *object, size_t type_len,
                                         size_t data_len)
{
    SVM_ASSERT(type_len <= SVM_TYPE_BYTES_MAX && data_len <= SVM_DATA_BYTES_MAX);
    object->type_len = type_len & 0xff;
    object->data_len = data_len & 0x1ffff;
}
static inline void model_object_kind_set(struct model_object *object, enum svm_kind kind)
{
    object->kind = (unsigned)kind & 3;
}
static inline size_t model_object_size(size_t type_len, size_t data_len)
{
    return sizeof(struct model_object) + type_len + data_len;
}
static inline const uint8_t *model_object_type(const struct model_object *object)
{
    return object->bytes;
}
static inline const uint8_t *model_object_data(const struct model_object *object)
{
    return object->bytes + object->type_len;
}

/* model_object_view: the public form of OBJECT; its bytes are borrowed from OBJECT. */
void model_object_view(struct svm_object *view_out, const struct svm_id *id,
                       const struct model_object *object, uint64_t seq);
/* model_object_give: an svm_object that owns its bytes (one malloc, svm_object_free). NULL = no memory. */
struct svm_object *model_object_give(const struct svm_id *id, const struct model_object *object,
                                     uint64_t seq);

/* Rows: BCS(ObjectRow), see docs/protocol.md. The row does not hold the id.
 * model_row_size: exact bytes. model_row_encode: writes exactly that many, returns the end.
 * model_row_object_size: bytes of the struct model_object that ROW decodes into; 0 = malformed.
 * model_row_decode: ROW -> OBJECT (which has that many bytes). SVM_OK or SVM_E_CORRUPT. */
size_t model_row_size(const struct model_object *object);
uint8_t *model_row_encode(uint8_t *out, const struct model_object *object);
size_t model_row_object_size(struct svm_bytes row);
SVM_MUST_USE enum svm_err model_row_decode(struct model_object *object, struct svm_bytes row);
/* What most want to know of a row. */
struct model_row_head {
    uint64_t version;
    const uint8_t *party; /* 32 bytes of the row; NULL: immutable or deleted */
    uint8_t kind;         /* enum svm_kind; of a deleted one OWNED */
    bool deleted;
};
/* model_row_head_get: the head of ROW, and whether all of ROW is well formed: as strict as model_row_decode. */
SVM_MUST_USE bool model_row_head_get(struct model_row_head *head_out, struct svm_bytes row);

/* ---- effects ---------------------------------------------------------------------------------------------- */

/* What a written object was before: decides the owner index, the counters and created / mutated / deleted. */
enum model_prior_kind {
    MODEL_PRIOR_NONE = 0,
    MODEL_PRIOR_OWNED = 1,
    MODEL_PRIOR_SHARED = 2,
    MODEL_PRIOR_IMMUTABLE = 3
};
struct model_prior {
    enum model_prior_kind kind;
    struct svm_address owner; /* OWNED only; zero otherwise */
};

/* Encoding side: object is set. Decoding side: row is set (a slice of the frame) and object is NULL. */
struct model_write {
    struct svm_id id;
    struct model_prior prior;
    int32_t input; /* of an execution: index of the input, or -1: created. Not part of a frame. */
    struct model_object *object; /* only read here */
    struct svm_bytes row;
};

/* Effects of one executed transaction. The writes are in ascending id order. */
struct model_effects {
    struct svm_digest digest;
    struct svm_address sender;
    uint64_t seq;
    uint64_t node_ms;
    uint64_t gas_used;
    enum svm_failure failure;
    uint16_t failed_op;
    enum svm_path path;
    enum svm_fallback fallback;
    struct svm_id fallback_object;
    uint32_t latency_us;
    uint16_t transfers; /* operations that moved an object or balance to another owner */
    uint16_t write_count;
    const struct model_write *writes;
    /* of a decoded frame only */
    struct svm_bytes
        outcome; /* what stands in it before `transfers`: so the row of a receipt begins as well */
    const struct model_row_head *heads; /* of the writes' rows */
};

/* Effects of one interactive transaction: its cell writes in ascending key order. */
struct model_cell_write {
    struct svm_bytes key;
    uint64_t version;
    bool deleted;
    struct svm_bytes value; /* empty when deleted */
};
struct model_cell_effects {
    uint64_t seq;
    uint64_t node_ms;
    uint16_t write_count;
    const struct model_cell_write *writes;
};

/* A frame is BCS(enum Frame { Tx(Effects), Cells(CellEffects), Void { seq: u64 } }). Frames are self-delimiting: a group of the
 * log is their concatenation.
 * The _size functions are exact; the _encode functions write exactly that many bytes and return the end. */
enum model_frame_kind { MODEL_FRAME_TX = 0, MODEL_FRAME_CELLS = 1, MODEL_FRAME_VOID = 2 };
size_t model_effects_size(const struct model_effects *effects);
uint8_t *model_effects_encode(uint8_t *out, const struct model_effects *effects);
size_t model_cell_effects_size(const struct model_cell_effects *effects);
uint8_t *model_cell_effects_encode(uint8_t *out, const struct model_cell_effects *effects);
size_t model_void_size(uint64_t seq);
uint8_t *model_void_encode(uint8_t *out, uint64_t seq);

enum {
    MODEL_WRITES_MAX = SVM_TX_INPUTS_MAX + SVM_TX_OPS_MAX, /* of one transaction */
    MODEL_CELL_WRITES_MAX = 4096
};

/* Storage for one decoded frame. */
struct model_frame {
    enum model_frame_kind kind;
    uint64_t seq;
    struct model_effects tx;         /* TX: writes points to `writes` below */
    struct model_cell_effects cells; /* CELLS: likewise */
    struct model_write writes[MODEL_WRITES_MAX];
    struct model_row_head heads[MODEL_WRITES_MAX];
    struct model_cell_write cell_writes[MODEL_CELL_WRITES_MAX];
};
/* model_frame_decode: the frame at the start of *BYTES, which is advanced behind it. Slices borrow from BYTES.
 * Returns SVM_OK or SVM_E_CORRUPT. */
SVM_MUST_USE enum svm_err model_frame_decode(struct model_frame *frame, struct svm_bytes *bytes);

/* ---- receipts --------------------------------------------------------------------------------------------- */

/* model_receipt_of: the receipt of EFFECTS (either side of the codec), one malloc, freed by svm_receipt_free.
 * Changes: created, then mutated, then deleted, each in id order. NULL = no memory. */
/* model_receipt_make: the same in MEMORY of model_receipt_need(EFFECTS) bytes, aligned to 8. */
size_t model_receipt_need(const struct model_effects *effects);
struct svm_receipt *model_receipt_make(void *memory, const struct model_effects *effects);
struct svm_receipt *model_receipt_of(const struct model_effects *effects);
size_t model_receipt_bytes(const struct svm_receipt *receipt); /* memory held by one such receipt */
/* model_receipt_copy: gives (svm_receipt_free). NULL = no memory. */
struct svm_receipt *model_receipt_copy(const struct svm_receipt *receipt);
/* A receipt as it is kept in memory: without its digest and position, and what the sender's address says already. In the machine's own form.
 * model_receipt_pack: that of EFFECTS (with objects, not from a frame) in ROOM bytes at OUT; false = it does not fit.
 * model_receipt_unpack: the receipt again, in SPACE; it has at most MODEL_PACKED_CHANGES changes.
 * model_packed_size: for so many CHANGES, of which OWNERS have another owner than the sender. */
enum { MODEL_PACKED_CHANGES = 8 };
struct model_receipt_space {
    struct svm_receipt receipt;
    struct svm_change changes[MODEL_PACKED_CHANGES];
};
size_t model_packed_size(size_t changes, size_t owners);
bool model_receipt_pack(uint8_t *out, size_t room, const struct model_effects *effects);
const struct svm_receipt *model_receipt_unpack(struct model_receipt_space *space,
                                               const uint8_t *packed,
                                               const struct svm_digest *digest, uint64_t seq);
/* BCS(Receipt): the row under its digest in `state`. */
size_t model_receipt_size(const struct svm_receipt *receipt);
uint8_t *model_receipt_encode(uint8_t *out, const struct svm_receipt *receipt);
/* model_receipt_row_size, _encode: the same row right from the EFFECTS of a decoded frame. */
size_t model_receipt_row_size(const struct model_effects *effects);
uint8_t *model_receipt_row_encode(uint8_t *out, const struct model_effects *effects);
/* model_receipt_decode: gives (svm_receipt_free). SVM_OK, SVM_E_CORRUPT, SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err model_receipt_decode(struct svm_receipt **receipt_out,
                                               struct svm_bytes row);

/* ---- hashing ---------------------------------------------------------------------------------------------- */

/* Streaming SHA-256 for the group chain and the state hash. */
struct model_hash {
    uint8_t opaque[128];
};
void model_hash_init(struct model_hash *hash);
void model_hash_add(struct model_hash *hash, const void *bytes, size_t len);
void model_hash_final(struct model_hash *hash, struct svm_digest *digest_out);

/* ---- genesis ---------------------------------------------------------------------------------------------- */

struct model_genesis_object {
    struct svm_id id;
    struct model_object
        *object; /* version 1, created_ms = modified_ms = genesis time, last_tx zero */
};
struct model_genesis {
    uint64_t chain;           /* first 8 bytes (LE) of digest */
    struct svm_digest digest; /* SHA-256(canonical) */
    char *canonical;          /* RFC 8785 text */
    uint64_t time_ms;
    size_t object_count;
    struct model_genesis_object *objects; /* ascending ids, distinct */
};
/* model_genesis_parse: TEXT is the genesis JSON:
 *   {"name": "...", "timeMs": "...", "objects": [{"id","kind","owner"|"controller","openWithdraw","balance","type","data"}]}
 * Strict: unknown members, reals, duplicate ids, a balance sum beyond u64, non-ASCII member names are refused.
 * Returns SVM_OK, SVM_E_BAD_GENESIS (REASON, 120 bytes, says where), SVM_E_NO_MEMORY. */
SVM_MUST_USE enum svm_err model_genesis_parse(struct model_genesis *genesis_out, const char *text,
                                              char reason[120]);
void model_genesis_deinit(struct model_genesis *genesis);

/* ---- signatures of many transactions ----------------------------------------------------------------------- */

/* What svm_signed_tx_verify looks at. Everything is borrowed. */
struct model_signed {
    const struct svm_address *sender;
    const struct svm_public_key *public_key;
    const struct svm_signature *signature;
    struct svm_bytes tx_bytes;
};

enum model_verdict { MODEL_SIGNED, MODEL_OTHER_SENDER, MODEL_BAD_SIGNATURE };

/* model_verify: VERDICTS on COUNT transactions, at most MODEL_VERIFY_MAX, each what svm_signed_tx_verify says of it alone.
 * Thread any. Allocates nothing; about 130 KiB of stack. Fast in multiples of eight (crypto/ed25519.h). */
enum { MODEL_VERIFY_MAX = 64 };
void model_verify(enum model_verdict *verdicts_out, const struct model_signed *txs, size_t count);

/* model_verdict_err: SVM_OK, or SVM_E_BAD_SIGNATURE with the reason in REFUSAL (may be NULL). */
enum svm_err model_verdict_err(enum model_verdict verdict, struct svm_refusal *refusal);

/* ---- the development chain --------------------------------------------------------------------------------- */

/* model_genesis_dev: its genesis, canonical JSON: for each of ten accounts "<name> coin" (1,000,000) and "<name> spare 0" to
 * "<name> spare 4" (1,000 each); "faucet" (10^12, owned by an eleventh key), "counter" (shared, 16 zero bytes, controller
 * alice), "pool" (shared, 1,000,000, open for withdrawal), "notice" (immutable). Thread any; static. */
const char *model_genesis_dev(void);

enum { MODEL_DEV_ACCOUNTS = 10, MODEL_DEV_FAUCET = 10 /* the index behind the ten */ };
struct model_dev_account {
    const char *name;          /* "alice" ... "judy"; "faucet" */
    struct svm_secret_key key; /* SHA-256("supervm dev key " || name) */
    struct svm_public_key public_key;
    struct svm_address address;
    struct svm_id coin; /* "<name> coin"; of the faucet: "faucet" */
};
void model_dev_account(struct model_dev_account *account_out, unsigned index);
/* model_dev_object_id: SHA-256("supervm dev object " || LABEL). */
void model_dev_object_id(struct svm_id *id_out, const char *label);

#endif
