/* svm/types.h - the nouns: ids, addresses, digests, amounts, owners, objects, transactions, receipts.
 *
 * One-field structs, so that swapping two of them does not compile. Wire forms are in docs/protocol.md. */
#ifndef SVM_TYPES_H
#define SVM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svm/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svm_id {
    uint8_t b[32];
}; /* of an object */
struct svm_address {
    uint8_t b[32];
}; /* SHA-256(0x00 || Ed25519 public key) */
struct svm_digest {
    uint8_t b[32];
}; /* SHA-256 of a signing message, an object or a group */
struct svm_amount {
    uint64_t units;
};
struct svm_public_key {
    uint8_t b[32];
};
struct svm_secret_key {
    uint8_t seed[32];
}; /* never printed, wiped by svm_key_wipe */
struct svm_signature {
    uint8_t b[64];
};

struct svm_bytes {
    const uint8_t *ptr;
    size_t len;
}; /* borrowed */

/* Hard limits of protocol version 1. Lower ones may be set in the options; higher ones may not. */
#define SVM_TX_BYTES_MAX   (128u * 1024u)
#define SVM_TX_INPUTS_MAX  256u
#define SVM_TX_OPS_MAX     256u
#define SVM_DATA_BYTES_MAX (64u * 1024u)
#define SVM_TYPE_BYTES_MAX 64u
#define SVM_CELL_KEY_MAX   64u

enum svm_kind { SVM_KIND_OWNED = 0, SVM_KIND_SHARED = 1, SVM_KIND_IMMUTABLE = 2 };
const char *svm_kind_name(enum svm_kind kind); /* "owned", "shared", "immutable" */

/* Owner of an object as an operation names it. */
struct svm_owner {
    enum svm_kind kind;
    struct svm_address address; /* SVM_KIND_OWNED only */
    bool open_withdraw;         /* SVM_KIND_SHARED only */
};

/* One live version of an object. `type` and `data` are borrowed from whoever gave the object. */
struct svm_object {
    struct svm_id id;
    uint64_t version;
    enum svm_kind kind;
    struct svm_address owner;      /* SVM_KIND_OWNED; zero otherwise */
    struct svm_address controller; /* SVM_KIND_SHARED; zero otherwise */
    bool open_withdraw;            /* SVM_KIND_SHARED; false otherwise */
    struct svm_amount balance;
    struct svm_bytes type;
    struct svm_bytes data;
    uint64_t created_ms;
    uint64_t modified_ms;
    struct svm_digest last_tx; /* zero for a genesis object that nobody has touched */
    uint64_t seq; /* position of the transaction that wrote this version; 0 = genesis */
};

/* ---- transactions ---------------------------------------------------------------------------------------- */

struct svm_input {
    struct svm_id id;
    enum svm_kind kind;
    bool exact;       /* OWNED: `version` is given; false = latest, as for the other kinds */
    bool writable;    /* SHARED: mutable; OWNED: always true; IMMUTABLE: always false */
    uint64_t version; /* OWNED and exact */
};

enum svm_op_kind {
    SVM_OP_TRANSFER = 0,
    SVM_OP_PAY = 1,
    SVM_OP_MOVE = 2,
    SVM_OP_CREATE = 3,
    SVM_OP_UPDATE = 4,
    SVM_OP_ADD = 5,
    SVM_OP_EXPECT = 6,
    SVM_OP_DELETE = 7,
    SVM_OP_SHARE = 8,
    SVM_OP_FREEZE = 9,
    SVM_OP_COUNT
};
const char *svm_op_name(enum svm_op_kind kind); /* "transfer", "pay", ... */

enum svm_check_kind {
    SVM_CHECK_BALANCE_AT_LEAST = 0,
    SVM_CHECK_DATA_HASH = 1,
    SVM_CHECK_VERSION = 2
};

struct svm_op {
    enum svm_op_kind kind;
    uint16_t input; /* index of the object acted on; PAY and MOVE: from. Unused by CREATE. */
    union {
        struct {
            struct svm_address to;
        } transfer;
        struct {
            struct svm_address to;
            struct svm_amount amount;
        } pay;
        struct {
            struct svm_amount amount;
            uint16_t into;
        } move;
        struct {
            struct svm_owner owner;
            struct svm_bytes type;
            struct svm_bytes data;
        } create;
        struct {
            struct svm_bytes data;
        } update;
        struct {
            int64_t delta;
            uint16_t offset;
        } add;
        struct {
            enum svm_check_kind kind;
            uint64_t value;
            uint8_t hash[32];
        } expect;
        struct {
            bool open_withdraw;
        } share;
    } u;
};

struct svm_tx {
    uint64_t chain;
    struct svm_address sender;
    uint64_t nonce;
    uint64_t expires_ms; /* Unix milliseconds; 0 = never, only with an exact owned input */
    uint64_t gas_limit;
    uint8_t privacy; /* 0 public; 1 private */
    uint16_t input_count;
    uint16_t op_count;
    const struct svm_input *inputs;
    const struct svm_op *ops;
};

/* ---- receipts -------------------------------------------------------------------------------------------- */

enum svm_path { SVM_PATH_FAST = 0, SVM_PATH_CONSENSUS = 1, SVM_PATH_PRIVATE = 2 };
const char *svm_path_name(enum svm_path path); /* "fast", "consensus", "private" */

enum svm_fallback { SVM_FALLBACK_NONE = 0, SVM_FALLBACK_CONTENDED = 1, SVM_FALLBACK_COUNT };
const char *svm_fallback_name(enum svm_fallback reason); /* "", "CONTENDED" */

enum svm_change_kind { SVM_CHANGE_CREATED = 0, SVM_CHANGE_MUTATED = 1, SVM_CHANGE_DELETED = 2 };

struct svm_change {
    struct svm_id id;
    uint64_t version;
    struct svm_address owner; /* zero unless owned */
    enum svm_change_kind change;
    enum svm_kind kind;
};

/* What became of an executed transaction. The first eight fields are a function of the log; path, fallback and
 * latency tell how this node came to it. */
struct svm_receipt {
    struct svm_digest digest;
    struct svm_address sender;
    uint64_t seq;     /* position in the serial order, from 1 */
    uint64_t node_ms; /* node time of the execution */
    uint64_t gas_used;
    enum svm_failure failure; /* NONE = ok */
    uint16_t failed_op;       /* index; meaningful with a failure */
    uint16_t change_count;
    enum svm_path path;
    enum svm_fallback fallback;
    struct svm_id fallback_object;
    uint32_t latency_us;              /* admission to the opening of the group it is executed in */
    const struct svm_change *changes; /* created, then mutated, then deleted; each in id order */
};

/* The fields that an error can carry to its reader; `has` says which are set. */
enum svm_detail {
    SVM_HAS_OBJECT = 1 << 0,
    SVM_HAS_GIVEN = 1 << 1,
    SVM_HAS_CURRENT = 1 << 2,
    SVM_HAS_WINNER = 1 << 3,
    SVM_HAS_OWNER = 1 << 4,
    SVM_HAS_LIMIT = 1 << 5, /* `limit` and `got`, of what `reason` names */
    SVM_HAS_OP = 1 << 6,
    SVM_HAS_OFFSET = 1 << 7,
    SVM_HAS_RETRY_AFTER = 1 << 8,
    SVM_HAS_KINDS = 1 << 9,
    SVM_HAS_TIME = 1 << 10, /* `expires_ms` and `now_ms` */
    SVM_HAS_CHAIN = 1 << 11,
    SVM_HAS_SENDER = 1 << 12,
    SVM_HAS_ATTEMPTS = 1 << 13,
    SVM_HAS_SEQ = 1 << 14 /* `seq`: what the answer rests on */
};

struct svm_refusal {
    enum svm_err err;
    unsigned has; /* of enum svm_detail */
    struct svm_id object;
    uint64_t given;           /* version or chain that the request named */
    uint64_t current;         /* version or chain that holds */
    struct svm_digest winner; /* transaction that wrote `current` */
    struct svm_address owner;
    struct svm_address sender;
    uint64_t limit, got;
    uint64_t offset; /* of the first bad byte */
    uint64_t expires_ms, now_ms;
    uint64_t seq;
    uint32_t retry_after_ms;
    uint32_t attempts;
    uint16_t op;
    enum svm_kind declared, actual;
    char
        reason[120]; /* one sentence that names the field and the cure; "" = the error's own text */
};

/* ---- text ------------------------------------------------------------------------------------------------- */

/* svm_hex32_format: "0x" + 64 lowercase digits + NUL into TEXT. */
void svm_hex32_format(char text[67], const uint8_t bytes[32]);
/* svm_hex32_parse: strict form of the above; upper case digits are accepted, short forms are not.
 * Returns SVM_OK or SVM_E_INVALID_PARAMS. */
SVM_MUST_USE enum svm_err svm_hex32_parse(uint8_t bytes[32], const char *text);

#ifdef __cplusplus
}
#endif
#endif
