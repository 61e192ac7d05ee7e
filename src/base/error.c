/* Names and facts of the tables in <svm/error.h> and <svm/types.h>. */
#include <svm/error.h>
#include <svm/types.h>

struct error_facts {
    const char *name;
    const char *text;
    int rpc_code;
    enum svm_retry retry;
    enum svm_class class;
};

static const struct error_facts facts[SVM_ERR_COUNT] = {
    [SVM_OK] = {"OK", "no error", 0, SVM_RETRY_NEVER, SVM_CLASS_CALLER},
#define FACTS(name, code, retry, cls, text)                                                        \
    [SVM_E_##name] = {#name, text, code, SVM_RETRY_##retry, SVM_CLASS_##cls},
    SVM_ERROR_TABLE(FACTS)
#undef FACTS
};

static const struct error_facts *facts_of(enum svm_err err)
{
    return &facts[(unsigned)err < SVM_ERR_COUNT ? err : SVM_E_INTERNAL];
}

const char *svm_err_name(enum svm_err err)
{
    return facts_of(err)->name;
}

const char *svm_err_text(enum svm_err err)
{
    return facts_of(err)->text;
}

int svm_err_rpc_code(enum svm_err err)
{
    return facts_of(err)->rpc_code;
}

enum svm_retry svm_err_retry(enum svm_err err)
{
    return facts_of(err)->retry;
}

enum svm_class svm_err_class(enum svm_err err)
{
    return facts_of(err)->class;
}

/* name_at: NAMES[INDEX], or "unknown" for a value outside the enumeration. */
static const char *name_at(const char *const *names, size_t count, unsigned index)
{
    return index < count ? names[index] : "unknown";
}
#define NAME_AT(names, value) name_at(names, sizeof(names) / sizeof((names)[0]), (unsigned)(value))

const char *svm_retry_name(enum svm_retry retry)
{
    static const char *const names[] = {"never", "same", "rebuild", "later"};
    return NAME_AT(names, retry);
}

const char *svm_failure_name(enum svm_failure failure)
{
    static const char *const names[SVM_FAILURE_COUNT] = {
#define NAME(name, text) [SVM_FAILURE_##name] = #name,
        SVM_FAILURE_TABLE(NAME)
#undef NAME
    };
    return failure == SVM_FAILURE_NONE ? "" : NAME_AT(names, failure);
}

const char *svm_failure_text(enum svm_failure failure)
{
    static const char *const texts[SVM_FAILURE_COUNT] = {
#define TEXT(name, text) [SVM_FAILURE_##name] = text,
        SVM_FAILURE_TABLE(TEXT)
#undef TEXT
    };
    return NAME_AT(texts, failure);
}

const char *svm_kind_name(enum svm_kind kind)
{
    static const char *const names[] = {"owned", "shared", "immutable"};
    return NAME_AT(names, kind);
}

const char *svm_op_name(enum svm_op_kind kind)
{
    static const char *const names[SVM_OP_COUNT] = {
        "transfer", "pay", "move", "create", "update", "add", "expect", "delete", "share", "freeze",
    };
    return NAME_AT(names, kind);
}

const char *svm_path_name(enum svm_path path)
{
    static const char *const names[] = {"fast", "consensus", "private"};
    return NAME_AT(names, path);
}

const char *svm_fallback_name(enum svm_fallback reason)
{
    static const char *const names[SVM_FALLBACK_COUNT] = {"", "CONTENDED"};
    return NAME_AT(names, reason);
}
