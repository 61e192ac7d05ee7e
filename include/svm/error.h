/* svm/error.h - every way a call into SuperVM can fail, in one table.
 *
 * The table is the only place where an error's name, JSON-RPC code and advice are written; the enum, the texts,
 * rpc/errors.json and docs/errors.md follow from it. Names never change; texts may.
 *
 * Columns: name, JSON-RPC code, retry advice, class, text.
 *   retry   NEVER    fix the request                    SAME     send the same bytes again
 *           REBUILD  fetch versions, sign anew          LATER    wait retryAfterMs, then the same bytes
 *   class   CALLER   the request is wrong               RETRY    a race was lost, or the node is busy
 *           LIMIT    a published limit was met          FATAL    the node or its disk is not well */
#ifndef SVM_ERROR_H
#define SVM_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SVM_MUST_USE __attribute__((warn_unused_result))
#else
#define SVM_MUST_USE
#endif

#define SVM_ERROR_TABLE(X)                                                                         \
    X(PARSE_ERROR, -32700, NEVER, CALLER, "the body is not valid JSON")                            \
    X(INVALID_REQUEST, -32600, NEVER, CALLER, "the body is not a JSON-RPC 2.0 request")            \
    X(METHOD_NOT_FOUND, -32601, NEVER, CALLER, "there is no such method; rpc.discover lists them") \
    X(INVALID_PARAMS, -32602, NEVER, CALLER,                                                       \
      "a parameter is missing, unknown or of the wrong form")                                      \
    X(INTERNAL, -32603, LATER, FATAL,                                                              \
      "the node met an unexpected condition; errorId is in its log")                               \
    X(NOT_FOUND, -32001, NEVER, CALLER, "nothing is known under that id")                          \
    X(RESPONSE_TOO_LARGE, -32003, NEVER, LIMIT,                                                    \
      "the response would exceed the byte limit; ask for less")                                    \
    X(METHOD_DISABLED, -32004, NEVER, CALLER,                                                      \
      "the method is switched off in this mode or on this listener")                               \
    X(LIMIT_EXCEEDED, -32005, NEVER, LIMIT, "a published limit was exceeded")                      \
    X(OVERLOADED, -32006, LATER, RETRY,                                                            \
      "the node is at capacity; wait and send the same bytes again")                               \
    X(SHUTTING_DOWN, -32007, LATER, RETRY, "the node is draining and admits nothing new")          \
    X(FORBIDDEN, -32010, NEVER, CALLER, "the caller may not do this from where it is")             \
    X(TX_DECODE, 1001, NEVER, CALLER, "the transaction bytes are not canonical BCS")               \
    X(TX_TOO_LARGE, 1002, NEVER, LIMIT, "the transaction is larger than the limit")                \
    X(BAD_SIGNATURE, 1003, NEVER, CALLER,                                                          \
      "the signature does not verify over the signing message")                                    \
    X(WRONG_CHAIN, 1004, NEVER, CALLER, "the transaction names another chain")                     \
    X(EXPIRED, 1005, REBUILD, CALLER, "the transaction has expired")                               \
    X(EXPIRY_TOO_FAR, 1006, REBUILD, CALLER,                                                       \
      "the expiry is too far ahead, or is needed and missing")                                     \
    X(UNSUPPORTED_VERSION, 1007, NEVER, CALLER, "the transaction variant is not supported")        \
    X(OBJECT_NOT_FOUND, 1101, REBUILD, CALLER, "an input object is unknown")                       \
    X(NOT_OWNER, 1102, NEVER, CALLER, "an input object is owned by somebody else")                 \
    X(OBJECT_IMMUTABLE, 1103, NEVER, CALLER, "an input object is immutable and cannot be written") \
    X(OBJECT_DELETED, 1104, NEVER, CALLER, "an input object was deleted")                          \
    X(WRONG_INPUT_KIND, 1105, REBUILD, CALLER, "an input object is of another kind than declared") \
    X(VERSION_CONFLICT, 1201, REBUILD, RETRY, "an input object has moved to another version")      \
    X(RETRIES_EXHAUSTED, 1202, SAME, RETRY, "every attempt lost its race; nothing was written")    \
    X(BUSY, 1204, LATER, RETRY, "an input object stayed busy; wait and send the same bytes again") \
    X(GAS_TOO_LOW, 1301, REBUILD, CALLER, "the gas limit is below the base price")                 \
    X(OP_INVALID, 1302, NEVER, CALLER, "an operation is malformed")                                \
    X(PRIVACY_UNAVAILABLE, 1303, NEVER, CALLER,                                                    \
      "private transactions are not available on this node")                                       \
    X(BAD_CURSOR, 1304, NEVER, CALLER, "the cursor does not belong to this query")                 \
    X(SNAPSHOT_TOO_OLD, 1306, REBUILD, RETRY,                                                      \
      "the snapshot was cancelled because it outlived its limit")                                  \
    X(STORAGE_READ_ONLY, 1401, LATER, FATAL, "the node accepts no writes until there is room")     \
    X(STORAGE_FULL, 1402, LATER, FATAL, "the disk has no room for what was asked; make some")      \
    /* below: errors of the C library alone; a remote caller sees them as INTERNAL */              \
    X(NO_MEMORY, 2001, LATER, FATAL, "out of memory")                                              \
    X(IO, 2002, NEVER, FATAL, "the disk or the database failed")                                   \
    X(CORRUPT, 2003, NEVER, FATAL, "the data directory is damaged")                                \
    X(LOCKED, 2004, NEVER, CALLER, "another process uses the data directory")                      \
    X(FOREIGN_DATA, 2005, NEVER, CALLER, "the data directory belongs to another chain or format")  \
    X(BAD_CONFIG, 2006, NEVER, CALLER, "a setting is unknown, malformed or out of range")          \
    X(BAD_GENESIS, 2007, NEVER, CALLER, "the genesis file is malformed")                           \
    X(CONFLICT, 2008, SAME, RETRY, "a committed transaction changed what this one had read")       \
    X(BAD_KEY, 2009, NEVER, CALLER, "the key is malformed or its file is not private")

enum svm_err {
    SVM_OK = 0,
#define SVM_ERROR_ENUM(name, code, retry, cls, text) SVM_E_##name,
    SVM_ERROR_TABLE(SVM_ERROR_ENUM)
#undef SVM_ERROR_ENUM
        SVM_ERR_COUNT
};

enum svm_retry { SVM_RETRY_NEVER, SVM_RETRY_SAME, SVM_RETRY_REBUILD, SVM_RETRY_LATER };
enum svm_class { SVM_CLASS_CALLER, SVM_CLASS_RETRY, SVM_CLASS_LIMIT, SVM_CLASS_FATAL };

/* Static facts about one error. All are total functions: an unknown value reads as INTERNAL.
 * Thread  any. Memory  static strings. */
const char *svm_err_name(enum svm_err err); /* "VERSION_CONFLICT"; "OK" for SVM_OK */
const char *svm_err_text(enum svm_err err);
int svm_err_rpc_code(enum svm_err err);
enum svm_retry svm_err_retry(enum svm_err err);
const char *svm_retry_name(enum svm_retry retry); /* "never", "same", "rebuild", "later" */
enum svm_class svm_err_class(enum svm_err err);

/* Why a transaction that was executed has failed: its receipt carries one of these. It consumed its owned inputs. */
#define SVM_FAILURE_TABLE(X)                                                                       \
    X(NONE, "")                                                                                    \
    X(INSUFFICIENT_BALANCE, "the input holds less than the amount")                                \
    X(EXPECT_FAILED, "the precondition does not hold")                                             \
    X(OVERFLOW, "the sum does not fit in 64 bits")                                                 \
    X(GAS_TOO_LOW, "the gas limit was used up")                                                    \
    X(OUT_OF_BOUNDS, "the offset lies beyond the object's data")                                   \
    X(BALANCE_NOT_ZERO, "an object with a balance cannot be deleted")                              \
    X(WITHDRAW_DENIED, "only the controller may withdraw from this shared object")

enum svm_failure {
#define SVM_FAILURE_ENUM(name, text) SVM_FAILURE_##name,
    SVM_FAILURE_TABLE(SVM_FAILURE_ENUM)
#undef SVM_FAILURE_ENUM
        SVM_FAILURE_COUNT
};
const char *svm_failure_name(enum svm_failure failure); /* "" for NONE */
const char *svm_failure_text(enum svm_failure failure);

#ifdef __cplusplus
}
#endif
#endif
