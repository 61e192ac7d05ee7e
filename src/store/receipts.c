#include "store/receipts.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/rows.h"

enum {
    PAGE_BYTES_GOOD = 4000, /* with its key: a block of the database */
    PAGE_RECEIPTS_MAX = 256,
    LENGTH_BYTES = 4
};

bool store_receipts_init(struct store_receipts *receipts)
{
    memset(receipts, 0, sizeof *receipts);
    return store_runs_init(&receipts->runs);
}

void store_receipts_deinit(struct store_receipts *receipts)
{
    store_runs_deinit(&receipts->runs);
    free(receipts->page);
}

bool store_page_parse(struct store_page *page_out, struct svm_bytes value)
{
    if (value.len < STORE_PAGE_HEAD_BYTES)
        return false;
    page_out->count = bytes_get_u16le(value.ptr);
    page_out->last = bytes_get_u64le(value.ptr + 2);
    page_out->newest_ms = bytes_get_u64le(value.ptr + 10);
    return page_out->count > 0;
}

/* ---- write --------------------------------------------------------------------------------------------------- */

static void page_begin(struct store_receipts *receipts)
{
    receipts->page_len = STORE_PAGE_HEAD_BYTES;
    receipts->head = (struct store_page){0};
}

void store_receipts_begin(struct store_receipts *receipts)
{
    store_runs_begin(&receipts->runs);
    page_begin(receipts);
}

static enum svm_err page_close(struct store_receipts *receipts, struct store_batch *batch)
{
    const struct store_page *head = &receipts->head;
    if (head->count == 0)
        return SVM_OK;
    uint8_t *key = store_batch_alloc(batch, 1 + 8);
    uint8_t *value = store_batch_alloc(batch, receipts->page_len);
    if (key == NULL || value == NULL)
        return SVM_E_NO_MEMORY;
    key[0] = ROW_ORDER;
    bytes_put_u64be(key + 1, receipts->page_first);
    bytes_put_u16le(receipts->page, head->count);
    bytes_put_u64le(receipts->page + 2, head->last);
    bytes_put_u64le(receipts->page + 10, head->newest_ms);
    memcpy(value, receipts->page, receipts->page_len);
    store_batch_put(batch, (struct svm_bytes){key, 1 + 8},
                    (struct svm_bytes){value, receipts->page_len});
    page_begin(receipts);
    return SVM_OK;
}

/* reserve: SIZE more bytes of the page under way. */
static uint8_t *page_reserve(struct store_receipts *receipts, size_t size)
{
    if (receipts->page_cap < receipts->page_len + size) {
        size_t cap = 2 * (receipts->page_len + size) + PAGE_BYTES_GOOD;
        uint8_t *grown = realloc(receipts->page, cap);
        if (grown == NULL)
            return NULL;
        receipts->page = grown;
        receipts->page_cap = cap;
    }
    uint8_t *at = receipts->page + receipts->page_len;
    receipts->page_len += size;
    return at;
}

enum svm_err store_receipts_add(struct store_receipts *receipts, struct store_batch *batch,
                                const struct model_effects *tx)
{
    struct store_page *head = &receipts->head;
    SVM_ASSERT(tx->seq > head->last);
    SVM_ASSERT(tx->seq >> (64 - STORE_PLACE_BITS) == 0);
    const size_t size = model_receipt_row_size(tx);
    uint8_t *at = page_reserve(receipts, LENGTH_BYTES + size);
    if (at == NULL)
        return SVM_E_NO_MEMORY;
    bytes_put_u32le(at, (uint32_t)size);
    uint8_t *end = model_receipt_row_encode(at + LENGTH_BYTES, tx);
    SVM_ASSERT(end == at + LENGTH_BYTES + size);

    if (head->count == 0)
        receipts->page_first = tx->seq;
    const uint64_t place = receipts->page_first << STORE_PLACE_BITS | head->count;
    head->count++;
    head->last = tx->seq;
    if (tx->node_ms > head->newest_ms)
        head->newest_ms = tx->node_ms;
    enum svm_err err = store_runs_add(&receipts->runs, &tx->digest, place);
    if (err == SVM_OK &&
        (receipts->page_len + size >= PAGE_BYTES_GOOD || head->count == PAGE_RECEIPTS_MAX))
        err = page_close(receipts, batch);
    return err;
}

enum svm_err store_receipts_seal(struct store_receipts *receipts, struct store_batch *batch,
                                 uint64_t first, uint64_t last)
{
    enum svm_err err = page_close(receipts, batch);
    return err == SVM_OK ? store_runs_seal(&receipts->runs, batch, first, last) : err;
}

void store_receipts_publish(struct store_receipts *receipts)
{
    store_runs_publish(&receipts->runs);
}

/* ---- find ---------------------------------------------------------------------------------------------------- */

/* page_pick: the receipt number WHICH of the page. */
static enum svm_err page_pick(struct svm_bytes value, uint64_t which,
                              struct svm_receipt **receipt_out)
{
    struct store_page page;
    if (!store_page_parse(&page, value) || which >= page.count)
        return SVM_E_CORRUPT;
    size_t at = STORE_PAGE_HEAD_BYTES;
    for (;; which--) {
        if (value.len - at < LENGTH_BYTES)
            return SVM_E_CORRUPT;
        size_t size = bytes_get_u32le(value.ptr + at);
        at += LENGTH_BYTES;
        if (value.len - at < size)
            return SVM_E_CORRUPT;
        if (which == 0)
            return model_receipt_decode(receipt_out, (struct svm_bytes){value.ptr + at, size});
        at += size;
    }
}

struct search {
    const struct svm_kv_ops *kv;
    const struct svm_digest *digest;
    struct svm_receipt *receipt;
};

/* look: the receipt at PLACE, if it is the one. A page that is not there has been swept. */
static enum svm_err look(void *arg, uint64_t place)
{
    struct search *search = arg;
    uint8_t key[1 + 8] = {ROW_ORDER}, *value;
    size_t len;
    bytes_put_u64be(key + 1, place >> STORE_PLACE_BITS);
    enum svm_err err =
        search->kv->get(search->kv->self, (struct svm_bytes){key, sizeof key}, &value, &len);
    if (err != SVM_OK)
        return err;
    struct svm_receipt *receipt;
    err =
        page_pick((struct svm_bytes){value, len}, place & ((1u << STORE_PLACE_BITS) - 1), &receipt);
    free(value);
    if (err != SVM_OK)
        return err;
    if (memcmp(receipt->digest.b, search->digest->b, sizeof search->digest->b) != 0) {
        free(receipt); /* equal in the first eight bytes */
        return SVM_E_NOT_FOUND;
    }
    search->receipt = receipt;
    return SVM_OK;
}

enum svm_err store_receipts_get(struct store_receipts *receipts, const struct svm_kv_ops *kv,
                                const struct svm_digest *digest, struct svm_receipt **receipt_out)
{
    struct search search = {.kv = kv, .digest = digest};
    enum svm_err err = store_runs_find(&receipts->runs, kv, digest, look, &search);
    if (err == SVM_OK)
        *receipt_out = search.receipt;
    return err;
}
