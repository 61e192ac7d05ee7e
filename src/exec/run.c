/* exec/run.c - private versions: copy on first write, resize, create, give back. */
#include "exec/run.h"

#include <string.h>

/* new_object: memory for an object of that shape, fields not set; NULL after noting the shortage. */
static struct model_object *new_object(struct exec_run *run, size_t type_len, size_t data_len)
{
    struct model_object *object =
        run->alloc->alloc(run->alloc->arg, model_object_size(type_len, data_len));
    if (object == NULL)
        run->no_memory = true;
    return object;
}

static void stamp(const struct exec_run *run, struct model_object *object)
{
    object->version = run->version;
    model_object_modified_set(object, run->node_ms);
    object->last_tx = *run->digest;
}

static struct model_object *copy_of(struct exec_run *run, const struct model_object *read)
{
    struct model_object *object = new_object(run, read->type_len, read->data_len);
    if (object == NULL)
        return NULL;
    memcpy(object, read, model_object_size(read->type_len, read->data_len));
    stamp(run, object);
    return object;
}

const struct model_object *exec_run_see(const struct exec_run *run, uint16_t index)
{
    SVM_ASSERT(index < run->tx->input_count);
    return run->mine[index] != NULL ? run->mine[index] : run->inputs[index];
}

/* may_write: pairs with svm_tx_check. */
static void may_write(const struct exec_run *run, uint16_t index)
{
    SVM_ASSERT(index < run->tx->input_count);
    const struct svm_input *input = &run->tx->inputs[index];
    SVM_ASSERT(input->kind == SVM_KIND_OWNED ||
               (input->kind == SVM_KIND_SHARED && input->writable));
}

struct model_object *exec_run_own(struct exec_run *run, uint16_t index)
{
    may_write(run, index);
    if (run->mine[index] == NULL)
        run->mine[index] = copy_of(run, run->inputs[index]);
    return run->mine[index];
}

struct model_object *exec_run_resize(struct exec_run *run, uint16_t index, uint8_t type_len,
                                     uint32_t data_len)
{
    may_write(run, index);
    const struct model_object *seen = exec_run_see(run, index);
    struct model_object *mine = run->mine[index];
    if (mine != NULL && seen->data_len == data_len && seen->type_len == type_len)
        return mine;
    struct model_object *object = new_object(run, type_len, data_len);
    if (object == NULL)
        return NULL;
    memcpy(object, seen, model_object_size(type_len, 0));
    model_object_lens_set(object, type_len, data_len);
    stamp(run, object);
    if (mine != NULL)
        run->alloc->free(run->alloc->arg, mine);
    run->mine[index] = object;
    return object;
}

struct model_object *exec_run_create(struct exec_run *run, uint16_t op_index, struct svm_bytes type,
                                     struct svm_bytes data)
{
    SVM_ASSERT(run->created_count < SVM_TX_OPS_MAX);
    SVM_ASSERT(type.len <= SVM_TYPE_BYTES_MAX && data.len <= SVM_DATA_BYTES_MAX);
    struct model_object *object = new_object(run, type.len, data.len);
    if (object == NULL)
        return NULL;
    memset(object, 0, sizeof *object);
    model_object_lens_set(object, type.len, data.len);
    model_object_times_set(object, run->node_ms, run->node_ms);
    stamp(run, object);
    memcpy(object->bytes, type.ptr, type.len);
    if (data.len > 0)
        memcpy(object->bytes + type.len, data.ptr, data.len);
    struct exec_created *created = &run->created[run->created_count++];
    svm_tx_new_object_id(&created->id, run->digest, op_index);
    created->object = object;
    return object;
}

void exec_run_give_back(struct exec_run *run)
{
    for (uint16_t i = 0; i < run->tx->input_count; i++) {
        if (run->mine[i] != NULL)
            run->alloc->free(run->alloc->arg, run->mine[i]);
        run->mine[i] = NULL;
    }
    for (uint16_t i = 0; i < run->created_count; i++)
        run->alloc->free(run->alloc->arg, run->created[i].object);
    run->created_count = 0;
    run->transfers = 0;
}
