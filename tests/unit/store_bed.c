#include "store_bed.h"

#include <ftw.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/sha256.h"

uint64_t bed_seed(const char *test)
{
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("%s: SVM_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* ---- world ------------------------------------------------------------------------------------------------- */

static void id_of(struct svm_id *id_out, unsigned index)
{
    uint8_t label[8] = "object ";
    label[7] = (uint8_t)index;
    crypto_sha256(id_out->b, label, sizeof label);
}

void world_owner(struct svm_address *owner_out, unsigned index)
{
    memset(owner_out->b, (int)(0x10 * (index + 1)), 32);
}

static struct model_object *object_make(size_t data_len)
{
    static const char type[] = "coin";
    struct model_object *object = calloc(1, model_object_size(4, data_len));
    ck_assert_ptr_nonnull(object);
    model_object_lens_set(object, 4, data_len);
    memcpy(object->bytes, type, 4);
    return object;
}

static struct model_object *genesis_object(unsigned index)
{
    struct model_object *object = object_make(0);
    struct svm_address owner;
    world_owner(&owner, 0);
    model_object_kind_set(object, (enum svm_kind)index); /* one of each kind */
    if (object->kind != SVM_KIND_IMMUTABLE)
        object->party = owner;
    object->version = 1;
    object->balance = 1000;
    model_object_times_set(object, WORLD_TIME_MS, WORLD_TIME_MS);
    return object;
}

const struct model_genesis *bed_genesis(void)
{
    static struct model_genesis_object objects[3];
    static char canonical[] = "{\"name\":\"store test\"}";
    static struct model_genesis genesis;
    if (genesis.canonical != NULL)
        return &genesis;
    for (unsigned i = 0; i < 3; i++) {
        id_of(&objects[i].id, i);
        objects[i].object = genesis_object(i);
    }
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < 2; i++)
            if (memcmp(objects[i].id.b, objects[i + 1].id.b, 32) > 0) {
                struct model_genesis_object swap = objects[i];
                objects[i] = objects[i + 1];
                objects[i + 1] = swap;
            }
    genesis.canonical = canonical;
    crypto_sha256(genesis.digest.b, canonical, sizeof canonical - 1);
    genesis.time_ms = WORLD_TIME_MS;
    genesis.object_count = 3;
    genesis.objects = objects;
    return &genesis;
}

void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    rng_init(&world->rng, seed);
    world->node_ms = WORLD_TIME_MS;
    for (unsigned i = 0; i < WORLD_OBJECTS; i++)
        id_of(&world->objects[i].id, i);
    for (unsigned i = 0; i < 3; i++) {
        world->objects[i].object = genesis_object(i);
        world->live[i] = 1;
    }
    world->versions = 3;
    for (unsigned i = 0; i < WORLD_CELLS; i++) {
        struct world_cell *cell = &world->cells[i];
        cell->key_len = 1 + i;
        memset(cell->key, 'a' + (int)i, cell->key_len);
    }
}

void world_deinit(struct world *world)
{
    for (unsigned i = 0; i < WORLD_OBJECTS; i++)
        free(world->objects[i].object);
    memset(world, 0, sizeof *world);
}

/* object_next: another version of OLD (NULL = created), by a roll of the dice. */
static struct model_object *object_next(struct world *world, const struct model_object *old,
                                        const struct svm_digest *digest)
{
    bool keep_kind = old != NULL && old->kind != SVM_KIND_OWNED;
    bool deleted = old != NULL && old->kind == SVM_KIND_OWNED && rng_below(&world->rng, 12) == 0;
    struct model_object *object = object_make(deleted ? 0 : rng_below(&world->rng, 60));
    object->version = old == NULL ? 1 : old->version + 1 + rng_below(&world->rng, 3);
    model_object_times_set(object, old == NULL ? world->node_ms : old->created_ms, world->node_ms);
    object->last_tx = *digest;
    object->deleted = deleted;
    if (deleted) {
        object->type_len = 0;
        return object;
    }
    uint64_t dice = rng_below(&world->rng, 20);
    model_object_kind_set(object, keep_kind    ? (enum svm_kind)old->kind
                                  : dice < 18  ? SVM_KIND_OWNED
                                  : dice == 18 ? SVM_KIND_SHARED
                                               : SVM_KIND_IMMUTABLE);
    if (object->kind == SVM_KIND_OWNED)
        world_owner(&object->party, (unsigned)rng_below(&world->rng, WORLD_OWNERS));
    if (object->kind == SVM_KIND_SHARED)
        world_owner(&object->party, 0);
    object->balance = rng_below(&world->rng, 1000);
    for (uint32_t i = 0; i < object->data_len; i++)
        object->bytes[4 + i] = (uint8_t)rng_next(&world->rng);
    return object;
}

static int write_order(const void *left, const void *right)
{
    return memcmp(((const struct model_write *)left)->id.b,
                  ((const struct model_write *)right)->id.b, 32);
}

static void world_write(struct world *world, struct model_write *write, struct world_object *slot,
                        const struct svm_digest *digest)
{
    struct model_object *old = slot->object;
    struct model_object *now = object_next(world, old, digest);
    *write = (struct model_write){.id = slot->id, .object = now};
    if (old != NULL) {
        write->prior.kind = (enum model_prior_kind)(MODEL_PRIOR_OWNED + old->kind);
        if (old->kind == SVM_KIND_OWNED)
            write->prior.owner = old->party;
        world->live[old->kind]--;
    }
    if (!now->deleted)
        world->live[now->kind]++;
    world->versions++;
    free(old);
    slot->object = now;
    slot->seq = world->seq;
}

static uint8_t *step_tx(struct world *world, size_t *len_out)
{
    struct model_write writes[4];
    struct model_effects effects = {
        .seq = world->seq,
        .node_ms = world->node_ms,
        .gas_used = 1000,
        .path = SVM_PATH_FAST,
        .transfers = (uint16_t)rng_below(&world->rng, 3),
        .writes = writes,
    };
    uint64_t words[4];
    for (unsigned i = 0; i < 4; i++)
        words[i] = rng_next(&world->rng);
    crypto_sha256(effects.digest.b, words, sizeof words);
    world_owner(&effects.sender, 0);

    size_t want = 1 + rng_below(&world->rng, 4);
    unsigned begin = (unsigned)rng_below(&world->rng, WORLD_OBJECTS);
    for (unsigned i = 0; i < WORLD_OBJECTS && effects.write_count < want;
         i += 1 + (unsigned)rng_below(&world->rng, 3)) {
        struct world_object *slot = &world->objects[(begin + i) % WORLD_OBJECTS];
        if (slot->object != NULL &&
            (slot->object->deleted || slot->object->kind == SVM_KIND_IMMUTABLE))
            continue;
        world_write(world, &writes[effects.write_count++], slot, &effects.digest);
    }
    qsort(writes, effects.write_count, sizeof writes[0], write_order);
    world->transfers += effects.transfers;
    world->digests[world->seq] = effects.digest;
    world->changes[world->seq] = effects.write_count;
    *len_out = model_effects_size(&effects);
    uint8_t *frame = malloc(*len_out);
    ck_assert_ptr_nonnull(frame);
    ck_assert_ptr_eq(model_effects_encode(frame, &effects), frame + *len_out);
    return frame;
}

static uint8_t *step_cells(struct world *world, size_t *len_out)
{
    struct model_cell_write writes[WORLD_CELLS];
    struct model_cell_effects effects = {
        .seq = world->seq, .node_ms = world->node_ms, .writes = writes};
    for (unsigned i = 0; i < WORLD_CELLS; i++) {
        struct world_cell *cell = &world->cells[i];
        if (rng_below(&world->rng, 3) != 0)
            continue;
        cell->version++;
        cell->seq = world->seq;
        cell->deleted = rng_below(&world->rng, 5) == 0;
        cell->value_len =
            cell->deleted ? 0 : (size_t)rng_below(&world->rng, sizeof cell->value + 1);
        for (size_t at = 0; at < cell->value_len; at++)
            cell->value[at] = (uint8_t)rng_next(&world->rng);
        writes[effects.write_count++] = (struct model_cell_write){
            .key = {cell->key, cell->key_len},
            .version = cell->version,
            .deleted = cell->deleted,
            .value = {cell->value, cell->value_len},
        };
    }
    *len_out = model_cell_effects_size(&effects);
    uint8_t *frame = malloc(*len_out);
    ck_assert_ptr_nonnull(frame);
    ck_assert_ptr_eq(model_cell_effects_encode(frame, &effects), frame + *len_out);
    return frame;
}

uint8_t *world_step(struct world *world, size_t *len_out)
{
    world->seq++;
    ck_assert_uint_lt(world->seq, WORLD_SEQS_MAX);
    world->node_ms += rng_below(&world->rng, 1000);
    world->times_ms[world->seq] = world->node_ms;
    uint64_t dice = rng_below(&world->rng, 10);
    if (dice < 7)
        return step_tx(world, len_out);
    if (dice < 9)
        return step_cells(world, len_out);
    *len_out = model_void_size(world->seq);
    uint8_t *frame = malloc(*len_out);
    ck_assert_ptr_nonnull(frame);
    ck_assert_ptr_eq(model_void_encode(frame, world->seq), frame + *len_out);
    return frame;
}

/* ---- bed --------------------------------------------------------------------------------------------------- */

static void bed_init(struct bed *bed, uint64_t seed, enum store_mode mode)
{
    memset(bed, 0, sizeof *bed);
    bed->seed = seed;
    bed->config = (struct store_config){
        .mode = mode, .receipts_seconds = 86400, .history_versions = 3, .history_seconds = 86400};
    bed->config.ingest_bytes = getenv("SVM_BED_FILES") != NULL ? 1 : 0;
    bed->world = malloc(sizeof *bed->world);
    ck_assert_ptr_nonnull(bed->world);
    world_init(bed->world, seed);
}

void bed_init_ram(struct bed *bed, uint64_t seed, enum store_mode mode)
{
    bed_init(bed, seed, mode);
    bed->log_ram = store_kv_ram_create();
    bed->state_ram = store_kv_ram_create();
    ck_assert(bed->log_ram != NULL && bed->state_ram != NULL);
    store_kv_ram_ops(&bed->log_ops, bed->log_ram);
    store_kv_ram_ops(&bed->state_ops, bed->state_ram);
    bed->config.log_ops = &bed->log_ops;
    bed->config.state_ops = &bed->state_ops;
}

void bed_init_dir(struct bed *bed, uint64_t seed, enum store_mode mode)
{
    bed_init(bed, seed, mode);
    const char *tmp = getenv("TMPDIR");
    snprintf(bed->dir, sizeof bed->dir, "%.40s/svm-store-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    ck_assert_ptr_nonnull(mkdtemp(bed->dir));
    bed->config.datadir = bed->dir;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bed_remove(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void bed_deinit(struct bed *bed)
{
    if (bed->store != NULL)
        bed_close(bed);
    store_kv_ram_destroy(bed->log_ram);
    store_kv_ram_destroy(bed->state_ram);
    if (bed->dir[0] != '\0')
        bed_remove(bed->dir);
    world_deinit(bed->world);
    free(bed->world);
}

enum svm_err bed_try_open(struct bed *bed)
{
    ck_assert_ptr_null(bed->store);
    return store_open(&bed->store, &bed->config, bed_genesis(), &bed->opened, bed->reason);
}

void bed_open(struct bed *bed)
{
    enum svm_err err = bed_try_open(bed);
    ck_assert_msg(err == SVM_OK, "%s: %s", svm_err_name(err), bed->reason);
}

void bed_close(struct bed *bed)
{
    store_close(bed->store);
    bed->store = NULL;
}

void bed_rewind(struct bed *bed, uint64_t seq)
{
    world_deinit(bed->world);
    world_init(bed->world, bed->seed);
    while (bed->world->seq < seq) {
        size_t len;
        free(world_step(bed->world, &len));
    }
}

enum svm_err bed_try_commit(struct bed *bed, unsigned count)
{
    uint64_t first = bed->world->seq + 1;
    for (unsigned i = 0; i < count; i++) {
        size_t len;
        uint8_t *frame = world_step(bed->world, &len);
        uint8_t *room = store_group_reserve(bed->store, len);
        ck_assert_ptr_nonnull(room);
        memcpy(room, frame, len);
        free(frame);
    }
    return store_group_commit(bed->store, first, bed->world->seq, bed->world->node_ms);
}

void bed_commit(struct bed *bed, unsigned count)
{
    ck_assert_int_eq(bed_try_commit(bed, count), SVM_OK);
}

uint64_t bed_materialise(struct bed *bed, size_t bytes_max)
{
    uint64_t did;
    ck_assert_int_eq(store_materialise(bed->store, bytes_max, &did), SVM_OK);
    return did;
}

/* ---- compare ----------------------------------------------------------------------------------------------- */

static void *plain_alloc(void *arg, size_t size)
{
    void *memory = malloc(size + 1);
    *(void **)arg = memory;
    return memory;
}

static void check_object(struct bed *bed, const struct world_object *want)
{
    uint64_t seq;
    void *memory;
    struct model_object *have;
    enum svm_err err = store_object_get(bed->store, &want->id, &seq, plain_alloc, &memory, &have);
    if (want->object == NULL) {
        ck_assert_int_eq(err, SVM_E_NOT_FOUND);
        return;
    }
    ck_assert_int_eq(err, SVM_OK);
    ck_assert_uint_eq(seq, want->seq);
    ck_assert_mem_eq(have, want->object,
                     model_object_size(want->object->type_len, want->object->data_len));
    free(memory);
}

static void check_cell(struct bed *bed, const struct world_cell *want)
{
    uint64_t seq, version;
    bool deleted;
    void *value;
    size_t len;
    enum svm_err err = store_cell_get(bed->store, (struct svm_bytes){want->key, want->key_len},
                                      &seq, &version, &deleted, plain_alloc, &value, &len);
    if (want->version == 0) {
        ck_assert_int_eq(err, SVM_E_NOT_FOUND);
        return;
    }
    ck_assert_int_eq(err, SVM_OK);
    ck_assert_uint_eq(seq, want->seq);
    ck_assert_uint_eq(version, want->version);
    ck_assert_int_eq(deleted, want->deleted);
    ck_assert_uint_eq(len, want->value_len);
    if (len > 0)
        ck_assert_mem_eq(value, want->value, len);
    free(value);
}

static int id_order(const void *left, const void *right)
{
    return memcmp(left, right, 32);
}

/* check_list: the ids that store_owned (OWNER) or store_objects (NULL) give, in pages of three. */
static void check_list(struct bed *bed, const struct world *world, const struct svm_address *owner)
{
    struct svm_id want[WORLD_OBJECTS], have[WORLD_OBJECTS + 3];
    size_t want_count = 0, have_count = 0, count;
    for (unsigned i = 0; i < WORLD_OBJECTS; i++) {
        const struct model_object *object = world->objects[i].object;
        if (object == NULL)
            continue;
        bool owned = !object->deleted && object->kind == SVM_KIND_OWNED;
        if (owner == NULL || (owned && memcmp(object->party.b, owner->b, 32) == 0))
            want[want_count++] = world->objects[i].id;
    }
    qsort(want, want_count, sizeof want[0], id_order);
    do {
        const struct svm_id *after = have_count == 0 ? NULL : &have[have_count - 1];
        enum svm_err err =
            owner == NULL ? store_objects(bed->store, after, have + have_count, 3, &count)
                          : store_owned(bed->store, owner, after, have + have_count, 3, &count);
        ck_assert_int_eq(err, SVM_OK);
        have_count += count;
    } while (count == 3 && have_count <= WORLD_OBJECTS);
    ck_assert_uint_eq(have_count, want_count);
    if (want_count > 0)
        ck_assert_mem_eq(have, want, want_count * sizeof want[0]);
}

static void check_receipts(struct bed *bed, const struct world *world)
{
    static const struct svm_digest none;
    for (uint64_t seq = 1; seq < WORLD_SEQS_MAX; seq++) {
        const struct svm_digest *digest = &bed->world->digests[seq];
        struct svm_receipt *receipt;
        if (memcmp(digest->b, none.b, 32) == 0)
            continue;
        enum svm_err err = store_receipt_get(bed->store, digest, &receipt);
        if (seq > world->seq) {
            ck_assert_int_eq(err, SVM_E_NOT_FOUND);
            continue;
        }
        ck_assert_int_eq(err, SVM_OK);
        ck_assert_uint_eq(receipt->seq, seq);
        ck_assert_uint_eq(receipt->change_count, world->changes[seq]);
        free(receipt);
    }
}

void bed_check(struct bed *bed, uint64_t seq)
{
    struct world *world = malloc(sizeof *world);
    ck_assert_ptr_nonnull(world);
    world_init(world, bed->seed);
    while (world->seq < seq) {
        size_t len;
        free(world_step(world, &len));
    }
    for (unsigned i = 0; i < WORLD_OBJECTS; i++)
        check_object(bed, &world->objects[i]);
    for (unsigned i = 0; i < WORLD_CELLS; i++)
        check_cell(bed, &world->cells[i]);
    for (unsigned i = 0; i < WORLD_OWNERS; i++) {
        struct svm_address owner;
        world_owner(&owner, i);
        check_list(bed, world, &owner);
    }
    check_list(bed, world, NULL);
    check_receipts(bed, world);
    world_deinit(world);
    free(world);
}

void bed_files(void)
{
    ck_assert_int_eq(setenv("SVM_BED_FILES", "1", 1), 0);
}
