/* The genesis: what is taken is JSON to another parser too, and its canonical form is its own canonical form. */
#include "fuzz.h"

#include <jansson.h>

#include "model/model.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    json_object_seed(1);
    return 0;
}

static void check_objects(const struct model_genesis *a, const struct model_genesis *b)
{
    FUZZ_CHECK(a->object_count == b->object_count, "%zu, %zu", a->object_count, b->object_count);
    for (size_t i = 0; i < a->object_count; i++) {
        const struct model_genesis_object *left = &a->objects[i], *right = &b->objects[i];
        const size_t size = model_object_size(left->object->type_len, left->object->data_len);
        FUZZ_CHECK(i == 0 || memcmp(a->objects[i - 1].id.b, left->id.b, 32) < 0, "order of ids");
        FUZZ_CHECK(memcmp(left->id.b, right->id.b, 32) == 0, "id");
        FUZZ_CHECK(model_object_size(right->object->type_len, right->object->data_len) == size &&
                       memcmp(left->object->bytes, right->object->bytes,
                              left->object->type_len + left->object->data_len) == 0,
                   "contents");
        FUZZ_CHECK(left->object->version == 1 && left->object->balance == right->object->balance &&
                       left->object->kind == right->object->kind,
                   "object");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char reason[120] = "";
    struct model_genesis genesis, again;
    char *text = malloc(size + 1);
    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    const enum svm_err err = model_genesis_parse(&genesis, text, reason);
    FUZZ_CHECK(err == SVM_OK || err == SVM_E_BAD_GENESIS || err == SVM_E_NO_MEMORY, "%s",
               svm_err_name(err));
    if (err != SVM_OK) {
        FUZZ_CHECK(err != SVM_E_BAD_GENESIS || (reason[0] != '\0' && strlen(reason) < 120),
                   "no reason");
        free(text);
        return 0;
    }
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    FUZZ_CHECK(json != NULL && json_is_object(json), "taken, but no JSON: %s", error.text);
    json_decref(json);
    FUZZ_CHECK(model_genesis_parse(&again, genesis.canonical, reason) == SVM_OK, "%s", reason);
    FUZZ_CHECK(strcmp(genesis.canonical, again.canonical) == 0, "canonical form");
    FUZZ_CHECK(genesis.chain == again.chain && genesis.time_ms == again.time_ms &&
                   memcmp(genesis.digest.b, again.digest.b, 32) == 0,
               "digest");
    check_objects(&genesis, &again);
    model_genesis_deinit(&genesis);
    model_genesis_deinit(&again);
    free(text);
    return 0;
}
