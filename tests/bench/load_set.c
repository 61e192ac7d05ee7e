#include "bench/load_set.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench/rig.h"

enum {
    CREATES = 250, /* counters of one setup transaction */
    SETUP_MAX = 32 * 1024,
    TX_MAX = 512,
    COIN_VERSION = 1, /* of alice's coin in the development genesis */
    SIGNERS = 64
};

/* The head of the file. */
static const char MAGIC[8] = "svmload2";
struct head {
    char magic[8];
    struct load_spec spec;
    uint32_t tx_bytes, setup_count;
    uint64_t setup_bytes;
};

struct account {
    struct svm_secret_key key;
    struct svm_address address;
};

/* ---- building ------------------------------------------------------------------------------------------------ */

static struct account *accounts_create(const struct load_spec *spec)
{
    struct account *accounts = calloc(spec->accounts, sizeof *accounts);
    struct random random = {spec->seed};
    if (accounts == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < spec->accounts; i++) {
        struct svm_public_key public_key;
        for (size_t at = 0; at < sizeof accounts[i].key.seed; at += 8)
            bytes_put_u64le(accounts[i].key.seed + at, random_next(&random));
        svm_key_public(&public_key, &accounts[i].key);
        svm_key_address(&accounts[i].address, &public_key);
    }
    return accounts;
}

static size_t finish(uint8_t *out, size_t cap, const struct svm_tx *tx,
                     const struct svm_secret_key *key)
{
    uint8_t bytes[SETUP_MAX];
    size_t len, signed_len;
    const enum svm_err err = svm_tx_encode(bytes, sizeof bytes, &len, tx);
    if (err != SVM_OK ||
        svm_tx_sign(out, cap, &signed_len, (struct svm_bytes){bytes, len}, key) != SVM_OK)
        die("cannot build a transaction: %s", svm_err_name(err));
    return signed_len;
}

/* Setup transaction NUMBER: counters from NUMBER * CREATES on. */
static size_t build_setup(uint8_t out[SETUP_MAX], const struct load_spec *spec,
                          const struct account *accounts, uint32_t number)
{
    static const uint8_t zero[8];
    static const char type[] = "load.counter";
    const uint32_t first = number * CREATES;
    const uint32_t left = spec->objects - first;
    struct svm_dev_account alice;
    struct svm_op ops[CREATES];
    svm_dev_account(&alice, 0);
    const struct svm_input input = {.id = alice.coin,
                                    .kind = SVM_KIND_OWNED,
                                    .exact = true,
                                    .writable = true,
                                    .version = COIN_VERSION + number};
    const struct svm_tx tx = {.chain = spec->chain,
                              .sender = alice.address,
                              .nonce = spec->seed,
                              .gas_limit = 1000000000,
                              .input_count = 1,
                              .op_count = (uint16_t)(left < CREATES ? left : CREATES),
                              .inputs = &input,
                              .ops = ops};
    for (uint32_t i = 0; i < tx.op_count; i++) {
        ops[i] = (struct svm_op){.kind = SVM_OP_CREATE};
        ops[i].u.create.owner.kind = SVM_KIND_OWNED;
        ops[i].u.create.owner.address = accounts[(first + i) % spec->accounts].address;
        ops[i].u.create.type = (struct svm_bytes){(const uint8_t *)type, sizeof type - 1};
        ops[i].u.create.data = (struct svm_bytes){zero, sizeof zero};
    }
    return finish(out, SETUP_MAX, &tx, &alice.key);
}

static size_t build_add(uint8_t out[TX_MAX], const struct load_set *set,
                        const struct account *accounts, uint32_t index)
{
    const uint32_t object = index % set->spec.objects, round = index / set->spec.objects;
    const struct account *owner = &accounts[object % set->spec.accounts];
    const struct svm_input input = {.id = set->ids[object],
                                    .kind = SVM_KIND_OWNED,
                                    .exact = true,
                                    .writable = true,
                                    /* one above the coin's, then one more with each round */
                                    .version = COIN_VERSION + object / CREATES + 1 + round};
    struct svm_op op = {.kind = SVM_OP_ADD, .input = 0};
    op.u.add.delta = 1;
    const struct svm_tx tx = {.chain = set->spec.chain,
                              .sender = owner->address,
                              .nonce = index,
                              .gas_limit = 100000,
                              .input_count = 1,
                              .op_count = 1,
                              .inputs = &input,
                              .ops = &op};
    return finish(out, TX_MAX, &tx, &owner->key);
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

static uint32_t setup_count(const struct load_spec *spec)
{
    return (spec->objects + CREATES - 1) / CREATES;
}

/* The ids of the counters, from the setup transactions. */
static void find_ids(struct load_set *set)
{
    static struct svm_tx_space space;
    const uint8_t *at = set->setup;
    set->ids = calloc(set->spec.objects, sizeof *set->ids);
    if (set->ids == NULL)
        die("out of memory");
    for (uint32_t i = 0, object = 0; i < set->setup_count; i++) {
        const struct svm_bytes bytes = {at + 4, bytes_get_u32le(at)};
        struct svm_signed_tx stx;
        struct svm_digest digest;
        if (svm_signed_tx_decode(&stx, &space, bytes, NULL) != SVM_OK)
            die("the set is damaged");
        svm_tx_digest(&digest, stx.tx_bytes);
        for (uint16_t op = 0; op < stx.tx.op_count; op++)
            svm_tx_new_object_id(&set->ids[object++], &digest, op);
        at += 4 + bytes.len;
    }
}

static void point_into(struct load_set *set)
{
    struct head head;
    memcpy(&head, set->map, sizeof head);
    set->spec = head.spec;
    set->tx_bytes = head.tx_bytes;
    set->setup_count = head.setup_count;
    set->setup_bytes = head.setup_bytes;
    set->setup = set->map + sizeof head;
    set->frames = set->setup + set->setup_bytes;
}

struct signer {
    struct load_set *set;
    const struct account *accounts;
    uint32_t first, end;
};

static void *sign_some(void *arg)
{
    const struct signer *signer = arg;
    struct load_set *set = signer->set;
    for (uint32_t i = signer->first; i < signer->end; i++) {
        uint8_t bytes[TX_MAX];
        uint8_t *frame = set->map + (size_t)(load_set_frame(set, i) - set->map);
        if (build_add(bytes, set, signer->accounts, i) != set->tx_bytes)
            die("transactions differ in length");
        bytes_put_u32le(frame, set->tx_bytes);
        memcpy(frame + 4, bytes, set->tx_bytes);
    }
    return NULL;
}

static void sign_all(struct load_set *set, const struct account *accounts)
{
    pthread_t threads[SIGNERS];
    struct signer signers[SIGNERS];
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint32_t n = cores < 1 ? 1 : cores > SIGNERS ? SIGNERS : (uint32_t)cores;
    for (uint32_t t = 0; t < n; t++) {
        signers[t] = (struct signer){set, accounts, (uint32_t)((uint64_t)set->spec.count * t / n),
                                     (uint32_t)((uint64_t)set->spec.count * (t + 1) / n)};
        if (pthread_create(&threads[t], NULL, sign_some, &signers[t]) != 0)
            die("cannot start a thread");
    }
    for (uint32_t t = 0; t < n; t++)
        pthread_join(threads[t], NULL);
}

static void make(struct load_set *set, const struct load_spec *spec)
{
    struct account *accounts = accounts_create(spec);
    struct head head = {.spec = *spec, .setup_count = setup_count(spec)};
    uint8_t *setup = malloc((size_t)head.setup_count * (4 + SETUP_MAX));
    const double start = now_s();
    if (setup == NULL)
        die("out of memory");
    memcpy(head.magic, MAGIC, sizeof head.magic);
    for (uint32_t i = 0; i < head.setup_count; i++) {
        const size_t len = build_setup(setup + head.setup_bytes + 4, spec, accounts, i);
        bytes_put_u32le(setup + head.setup_bytes, (uint32_t)len);
        head.setup_bytes += 4 + len;
    }
    uint8_t probe[TX_MAX];
    struct svm_id id = {{0}};
    struct load_set one = {.spec = *spec, .ids = &id};
    head.tx_bytes = (uint32_t)build_add(probe, &one, accounts, 0);
    set->map_bytes = sizeof head + head.setup_bytes + (size_t)spec->count * (4 + head.tx_bytes);
    set->map =
        mmap(NULL, set->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (set->map == MAP_FAILED)
        die("out of memory");
    memcpy(set->map, &head, sizeof head);
    memcpy(set->map + sizeof head, setup, head.setup_bytes);
    free(setup);
    point_into(set);
    find_ids(set);
    sign_all(set, accounts);
    free(accounts);
    fprintf(stderr, "load: signed %u transactions in %.1f s\n", spec->count, now_s() - start);
}

static bool map_file(struct load_set *set, const struct load_spec *spec, const char *path)
{
    struct head head;
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool fits = fstat(fd, &st) == 0 && read(fd, &head, sizeof head) == (ssize_t)sizeof head &&
                      memcmp(head.magic, MAGIC, sizeof head.magic) == 0 &&
                      memcmp(&head.spec, spec, sizeof *spec) == 0 &&
                      (size_t)st.st_size == sizeof head + head.setup_bytes +
                                                (size_t)spec->count * (4 + head.tx_bytes);
    if (fits) {
        set->map_bytes = (size_t)st.st_size;
        set->map = mmap(NULL, set->map_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (set->map == MAP_FAILED)
            die("cannot map %s: %s", path, strerror(errno));
        point_into(set);
        find_ids(set);
    }
    close(fd);
    return fits;
}

static void save(const struct load_set *set, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die("cannot write %s: %s", path, strerror(errno));
    for (size_t at = 0; at < set->map_bytes;) {
        const ssize_t n = write(fd, set->map + at, set->map_bytes - at);
        if (n <= 0)
            die("cannot write %s: %s", path, strerror(errno));
        at += (size_t)n;
    }
    close(fd);
}

void load_set_open(struct load_set *set, const struct load_spec *spec, const char *path)
{
    *set = (struct load_set){0};
    if (path != NULL && map_file(set, spec, path))
        return;
    make(set, spec);
    if (path != NULL)
        save(set, path);
}

void load_set_text(struct load_set *set)
{
    const size_t digits = base64_text_len(set->tx_bytes);
    set->text_bytes = (uint32_t)digits + 3;
    set->text = malloc((size_t)set->spec.count * set->text_bytes);
    if (set->text == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < set->spec.count; i++) {
        char *at = set->text + (size_t)i * set->text_bytes;
        at[0] = '"';
        base64_encode(at + 1, load_set_frame(set, i) + 4, set->tx_bytes);
        at[1 + digits] = '"';
        at[2 + digits] = ',';
    }
}

void load_set_close(struct load_set *set)
{
    munmap(set->map, set->map_bytes);
    free(set->ids);
    free(set->text);
}
