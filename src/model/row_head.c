/* The head of an object's row, borrowed from it. The row's form is told by object_row.c; this looks at each of its fields as well, but
 * copies none. */
#include "model/row.h"

enum { ROW_LAST_TX_BYTES = 32, PARTY_BYTES = 32 };

static bool skip(struct bcs_reader *r, size_t len)
{
    if (!bcs_need(r, len))
        return false;
    r->at += len;
    return true;
}

static bool get_live(struct bcs_reader *r, struct model_row_head *head)
{
    struct svm_bytes bytes;
    bool open_withdraw;
    if (!bcs_get_u8(r, &head->kind) || head->kind > SVM_KIND_IMMUTABLE)
        return false;
    if (head->kind != SVM_KIND_IMMUTABLE) {
        head->party = r->at;
        if (!skip(r, PARTY_BYTES))
            return false;
    }
    if (head->kind == SVM_KIND_SHARED && !bcs_get_bool(r, &open_withdraw))
        return false;
    return skip(r, 8) && bcs_get_bytes(r, &bytes, SVM_TYPE_BYTES_MAX, "") &&
           bcs_get_bytes(r, &bytes, SVM_DATA_BYTES_MAX, "");
}

bool model_row_head_get(struct model_row_head *head_out, struct svm_bytes row)
{
    struct bcs_reader r;
    bcs_reader_init(&r, row);
    *head_out = (struct model_row_head){.kind = SVM_KIND_OWNED};
    if (!bcs_get_bool(&r, &head_out->deleted) || !bcs_get_u64(&r, &head_out->version))
        return false;
    if (!head_out->deleted && !get_live(&r, head_out))
        return false;
    uint64_t ms;
    return model_row_get_ms(&r, &ms) && model_row_get_ms(&r, &ms) && skip(&r, ROW_LAST_TX_BYTES) &&
           bcs_get_end(&r);
}
