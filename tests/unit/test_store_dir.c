/* The data directory on RocksDB: creation, locks, foreign data, kill -9, damaged WAL files, checkpoints. */
#include "store_bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_of(char path[128], const struct bed *bed, const char *name)
{
    snprintf(path, 128, "%s/%s", bed->dir, name);
}

static bool exists(const struct bed *bed, const char *name)
{
    char path[128];
    path_of(path, bed, name);
    return access(path, F_OK) == 0;
}

static void file_put(const struct bed *bed, const char *name, const char *text)
{
    char path[128];
    path_of(path, bed, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* ---- creation and refusal ---------------------------------------------------------------------------------- */

START_TEST(a_directory_comes_back)
{
    uint64_t seed = bed_seed("a_directory_comes_back");
    static const enum store_mode modes[] = {STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    for (unsigned mode = 0; mode < 3; mode++) {
        struct bed bed;
        bed_init_dir(&bed, seed, modes[mode]);
        bed_open(&bed);
        ck_assert(bed.opened.created);
        for (unsigned life = 0; life < 3; life++) {
            for (unsigned i = 0; i < 10; i++) {
                bed_commit(&bed, 4);
                if (i % 3 == 0)
                    bed_materialise(&bed, 2000);
            }
            if (life == 1)
                ck_assert_int_eq(store_trim(bed.store), SVM_OK);
            if (life == 2)
                ck_assert_int_eq(store_compact(bed.store), SVM_OK);
            ck_assert_uint_lt(store_disk_free(bed.store), UINT64_MAX);
            bed_close(&bed);
            bed_open(&bed);
            ck_assert(!bed.opened.created);
            ck_assert_uint_eq(bed.opened.next_seq, bed.world->seq + 1);
            bed_check(&bed, bed.world->seq);
        }
        bed_deinit(&bed);
    }
}
END_TEST

START_TEST(files_are_private)
{
    struct bed bed;
    struct stat info;
    char path[128];
    static const char *const names[] = {"FORMAT", "genesis.json", "LOCK", "SYNCED",
                                        "log",    "state",        NULL};
    bed_init_dir(&bed, 1, STORE_SYNC);
    rmdir(bed.dir); /* the store makes it */
    umask(0);
    bed_open(&bed);
    ck_assert_int_eq(stat(bed.dir, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0700);
    for (unsigned i = 0; names[i] != NULL; i++) {
        path_of(path, &bed, names[i]);
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_uint_eq(info.st_mode & 0777, S_ISDIR(info.st_mode) ? 0700 : 0600);
    }
    bed_deinit(&bed);
}
END_TEST

START_TEST(where_others_may_write_is_refused)
{
    struct bed bed;
    static const mode_t open_to_others[] = {0770, 0707, 0722, 01777};
    bed_init_dir(&bed, 1, STORE_SYNC);
    for (unsigned i = 0; i < sizeof open_to_others / sizeof open_to_others[0]; i++) {
        ck_assert_int_eq(chmod(bed.dir, open_to_others[i]), 0);
        ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
        ck_assert_ptr_nonnull(strstr(bed.reason, "chmod 700"));
        ck_assert(!exists(&bed, "LOCK"));
    }
    ck_assert_int_eq(chmod(bed.dir, 0755), 0); /* reading is the operator's business */
    bed_open(&bed);
    bed_commit(&bed, 2);
    bed_close(&bed);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(bed.dir, 12345, 12345), 0);
        ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
        ck_assert_ptr_nonnull(strstr(bed.reason, "belongs to user 12345"));
        ck_assert_int_eq(chown(bed.dir, 0, 0), 0);
    }
    bed_deinit(&bed);
}
END_TEST

START_TEST(one_process_at_a_time)
{
    struct bed bed;
    bed_init_dir(&bed, 1, STORE_SYNC);
    bed_open(&bed);
    struct store *second;
    struct store_opened opened;
    char reason[120], pid[16];
    ck_assert_int_eq(store_open(&second, &bed.config, bed_genesis(), &opened, reason),
                     SVM_E_LOCKED);
    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    ck_assert_ptr_nonnull(strstr(reason, pid));
    bed_commit(&bed, 2); /* the first is not harmed */
    bed_close(&bed);
    bed_open(&bed);
    bed_check(&bed, 2);
    bed_deinit(&bed);
}
END_TEST

START_TEST(foreign_data_is_refused_and_not_touched)
{
    struct bed bed;
    bed_init_dir(&bed, 1, STORE_SYNC);
    file_put(&bed, "thesis.tex", "years of work");
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
    ck_assert_ptr_nonnull(strstr(bed.reason, "thesis.tex"));
    ck_assert(!exists(&bed, "state"));
    char path[128], aside[128];
    path_of(path, &bed, "thesis.tex");
    ck_assert_int_eq(unlink(path), 0);

    bed_open(&bed);
    bed_commit(&bed, 5);
    bed_close(&bed);

    struct model_genesis other = *bed_genesis();
    other.digest.b[31] ^= 1;
    ck_assert_int_eq(store_open(&bed.store, &bed.config, &other, &bed.opened, bed.reason),
                     SVM_E_FOREIGN_DATA);
    ck_assert_ptr_nonnull(strstr(bed.reason, "another chain"));
    bed.store = NULL;

    path_of(path, &bed, "FORMAT");
    path_of(aside, &bed, "FORMAT.new");
    ck_assert_int_eq(rename(path, aside), 0); /* as if new, but there are transactions */
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
    ck_assert_ptr_nonnull(strstr(bed.reason, "FORMAT"));
    file_put(&bed, "FORMAT", "supervm data 3\n");
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
    ck_assert_ptr_nonnull(strstr(bed.reason, "supervm data 3"));
    file_put(&bed, "FORMAT", "supervm data 2\n"); /* and no more */
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_FOREIGN_DATA);
    ck_assert_ptr_nonnull(strstr(bed.reason, "another chain: its .., this"));
    ck_assert_int_eq(rename(aside, path), 0);
    bed_open(&bed);
    bed_check(&bed, 5);
    bed_deinit(&bed);
}
END_TEST

START_TEST(an_unusable_path_is_an_error)
{
    struct bed bed;
    bed_init_dir(&bed, 1, STORE_SYNC);
    bed.config.datadir = "/nowhere/at/all";
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_IO);
    ck_assert_ptr_nonnull(strstr(bed.reason, "/nowhere/at/all"));
    bed.config.datadir = "/proc/version";
    ck_assert_int_eq(bed_try_open(&bed), SVM_E_IO);
    bed_deinit(&bed);
}
END_TEST

/* Until FORMAT is in place a creation can be begun anew, with another genesis too. */
START_TEST(creation_can_be_begun_anew)
{
    struct bed bed;
    char path[128];
    static const char *const lost[] = {"FORMAT", "genesis.json", NULL};
    bed_init_dir(&bed, 1, STORE_SYNC);
    bed_open(&bed);
    bed_close(&bed);
    for (unsigned i = 0; lost[i] != NULL; i++) { /* as after a crash between the last steps */
        path_of(path, &bed, lost[i]);
        ck_assert_int_eq(unlink(path), 0);
    }
    struct model_genesis other = *bed_genesis();
    other.digest.b[0] ^= 1;
    other.object_count = 1;
    ck_assert_int_eq(store_open(&bed.store, &bed.config, &other, &bed.opened, bed.reason), SVM_OK);
    ck_assert(bed.opened.created);
    struct svm_id ids[4];
    size_t count;
    ck_assert_int_eq(store_objects(bed.store, NULL, ids, 4, &count), SVM_OK);
    ck_assert_uint_eq(count, 1); /* nothing of the first genesis is left */
    ck_assert(exists(&bed, "genesis.json"));
    bed_deinit(&bed);
}
END_TEST

/* ---- kill -9 ----------------------------------------------------------------------------------------------- */

/* A worker is this program executed anew: a mere fork would lack the threads that RocksDB has in its parent.
 * It opens a directory, goes on with the world of a seed, writes each position to WORKER_FD once it is committed, and dies. */
enum { WORKER_ARGS = 6, WORKER_FD = 3 };
static char **worker_args; /* name, directory, seed, mode, groups, materialise */

START_TEST(work_and_die)
{
    struct bed bed;
    bed_init_ram(&bed, strtoull(worker_args[2], NULL, 10), (enum store_mode)atoi(worker_args[3]));
    unsigned groups = (unsigned)atoi(worker_args[4]);
    bool materialise = atoi(worker_args[5]) != 0;
    bed.config.datadir = worker_args[1];
    bed_open(&bed);
    bed_rewind(&bed, bed.opened.next_seq - 1);
    for (unsigned i = 0; i < groups; i++) {
        bed_commit(&bed, 1 + i % 5);
        if (materialise && i % 4 == 2)
            bed_materialise(&bed, 1500);
        if (materialise && i % 9 == 8)
            ck_assert_int_eq(store_trim(bed.store), SVM_OK);
        ck_assert_int_gt(write(WORKER_FD, &bed.world->seq, sizeof bed.world->seq), 0);
    }
    kill(getpid(), SIGKILL);
}
END_TEST

static int worker(char **args)
{
    worker_args = args;
    Suite *suite = suite_create("worker");
    TCase *tcase = tcase_create("worker");
    tcase_add_test(tcase, work_and_die);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 1;
}

/* run_and_kill: a worker goes on from where the bed's world stands and is killed without a word. What it had committed is
 * the bed's world then. */
static void run_and_kill(struct bed *bed, unsigned groups, bool materialise)
{
    int pipe_fds[2];
    char seed[24], mode[8], count[8], self[512];
    const ssize_t self_len = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(self_len, 0); /* by name: /proc/self/exe would be valgrind, below valgrind */
    self[self_len] = '\0';
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)bed->seed);
    snprintf(mode, sizeof mode, "%d", (int)bed->config.mode);
    snprintf(count, sizeof count, "%u", groups);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (dup2(pipe_fds[1], WORKER_FD) < 0)
            _exit(1);
        execl(self, "worker", bed->dir, seed, mode, count, materialise ? "1" : "0", (char *)NULL);
        _exit(1);
    }
    close(pipe_fds[1]);
    uint64_t seq = bed->world->seq;
    while (read(pipe_fds[0], &seq, sizeof seq) == sizeof seq)
        continue;
    close(pipe_fds[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "the worker failed by itself");
    bed_rewind(bed, seq);
}

START_TEST(kill_loses_nothing)
{
    uint64_t seed = bed_seed("kill_loses_nothing");
    static const enum store_mode modes[] = {STORE_WRITE, STORE_SYNC, STORE_INTERVAL};
    for (unsigned mode = 0; mode < 3; mode++) {
        struct bed bed;
        bed_init_dir(&bed, seed, modes[mode]);
        for (unsigned life = 0; life < 4; life++) {
            run_and_kill(&bed, 5 + 7 * life, life % 2 == 1);
            bed_open(&bed);
            ck_assert_uint_eq(bed.opened.next_seq, bed.world->seq + 1);
            ck_assert_uint_eq(bed.opened.node_ms, bed.world->node_ms);
            bed_check(&bed, bed.world->seq);
            bed_close(&bed);
        }
        bed_deinit(&bed);
    }
}
END_TEST

/* ---- damaged WAL files ------------------------------------------------------------------------------------- */

static void copy_dir(const char *from, const char *to)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    ck_assert_int_eq(system(command), 0);
}

/* wal_path: the largest WAL file of the log of DIR. */
static size_t wal_path(char path[300], const char *dir)
{
    char log[128];
    size_t best = 0;
    snprintf(log, sizeof log, "%s/log", dir);
    DIR *listing = opendir(log);
    ck_assert_ptr_nonnull(listing);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        char here[300];
        struct stat info;
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".log") != 0)
            continue;
        snprintf(here, sizeof here, "%.120s/%.100s", log, entry->d_name);
        ck_assert_int_eq(stat(here, &info), 0);
        if ((size_t)info.st_size <= best)
            continue;
        best = (size_t)info.st_size;
        memcpy(path, here, sizeof here);
    }
    closedir(listing);
    ck_assert_uint_gt(best, 0);
    return best;
}

static void damage(const char *dir, struct rng *rng, bool cut)
{
    char path[300];
    size_t size = wal_path(path, dir);
    size_t at = rng_below(rng, size);
    if (cut) {
        ck_assert_int_eq(truncate(path, (off_t)at), 0);
        return;
    }
    uint8_t byte;
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= (uint8_t)(1u << rng_below(rng, 8));
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* damaged_lives: after each damage either a refusal or a prefix; with what was synced still there, nothing but all of it. */
static void damaged_lives(enum store_mode mode, uint64_t seed, bool cut)
{
    struct bed bed;
    struct rng rng;
    unsigned refused = 0, shorter = 0;
    char home[64], pristine[80];
    bed_init_dir(&bed, seed, mode);
    memcpy(home, bed.dir, sizeof home);
    snprintf(pristine, sizeof pristine, "%s-pristine", home);
    rng_init(&rng, seed);
    run_and_kill(&bed, 20, false);
    uint64_t all = bed.world->seq;
    copy_dir(home, pristine);
    for (unsigned round = 0; round < 25; round++) {
        copy_dir(pristine, home);
        damage(home, &rng, cut);
        enum svm_err err = bed_try_open(&bed);
        if (err != SVM_OK) {
            ck_assert_msg(err == SVM_E_CORRUPT, "%s: %s", svm_err_name(err), bed.reason);
            ck_assert_uint_gt(strlen(bed.reason), 0);
            refused++;
            continue;
        }
        uint64_t end = bed.opened.next_seq - 1;
        ck_assert_uint_le(end, all);
        if (mode == STORE_SYNC)
            ck_assert_uint_eq(end, all);
        bed_check(&bed, end);
        shorter += end < all;
        bed_rewind(&bed, end); /* and on it goes */
        bed_commit(&bed, 3);
        bed_close(&bed);
        bed_open(&bed);
        bed_check(&bed, end + 3);
        bed_close(&bed);
        bed_rewind(&bed, all);
    }
    printf("%u refused, %u shorter\n", refused, shorter);
    if (mode == STORE_SYNC)
        ck_assert_uint_gt(refused, 0);
    if (mode == STORE_WRITE)
        ck_assert_uint_gt(shorter, 0);
    bed_remove(pristine);
    bed_deinit(&bed);
}

START_TEST(a_torn_wal_leaves_a_prefix)
{
    damaged_lives(STORE_WRITE, bed_seed("a_torn_wal_leaves_a_prefix"), true);
}
END_TEST

START_TEST(a_flipped_bit_in_the_wal_leaves_a_prefix)
{
    damaged_lives(STORE_WRITE, bed_seed("a_flipped_bit_in_the_wal_leaves_a_prefix"), false);
}
END_TEST

START_TEST(a_synced_wal_is_whole_or_refused)
{
    uint64_t seed = bed_seed("a_synced_wal_is_whole_or_refused");
    damaged_lives(STORE_SYNC, seed, true);
    damaged_lives(STORE_SYNC, seed, false);
}
END_TEST

/* The mark of what was synced is a hint: without it, or with half of it, the store opens all the same. */
START_TEST(a_damaged_mark_does_no_harm)
{
    struct bed bed;
    bed_init_dir(&bed, 9, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, 5);
    bed_close(&bed);
    file_put(&bed, "SYNCED", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    bed_open(&bed);
    bed_close(&bed);
    file_put(&bed, "SYNCED", "half");
    bed_open(&bed);
    bed_check(&bed, 5);
    bed_deinit(&bed);
}
END_TEST

/* ---- checkpoint -------------------------------------------------------------------------------------------- */

START_TEST(a_checkpoint_opens_as_any_directory)
{
    struct bed bed, copy;
    uint64_t seed = bed_seed("a_checkpoint_opens_as_any_directory"), seq;
    char path[128], reason[120];
    bed_init_dir(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    for (unsigned i = 0; i < 6; i++) {
        bed_commit(&bed, 5);
        if (i == 2)
            bed_materialise(&bed, SIZE_MAX);
        if (i == 3)
            ck_assert_int_eq(store_trim(bed.store), SVM_OK);
    }
    snprintf(path, sizeof path, "%s-copy", bed.dir);
    enum svm_err err = store_checkpoint(bed.store, path, &seq, reason);
    ck_assert_msg(err == SVM_OK, "%s", reason);
    ck_assert_uint_eq(seq, 30);
    ck_assert_int_eq(store_checkpoint(bed.store, path, &seq, reason), SVM_E_INVALID_PARAMS);
    bed_commit(&bed, 7); /* the original goes on */
    bed_materialise(&bed, SIZE_MAX);
    ck_assert_int_eq(store_trim(bed.store), SVM_OK);
    bed_check(&bed, 37);

    bed_init_dir(&copy, seed, STORE_SYNC);
    bed_remove(copy.dir);
    memcpy(copy.dir, path, sizeof copy.dir);
    ck_assert(exists(&copy, "MANIFEST"));
    bed_open(&copy);
    ck_assert(!copy.opened.created);
    ck_assert_uint_eq(copy.opened.next_seq, 31);
    bed_rewind(&copy, 30);
    bed_check(&copy, 30);
    bed_commit(&copy, 4);
    bed_close(&copy);
    bed_open(&copy);
    bed_check(&copy, 34);
    bed_deinit(&copy);
    bed_deinit(&bed);
}
END_TEST

/* No checkpoint was made at PATH, which the caller is told why, nothing is left there, and the store goes on. */
static void expect_no_checkpoint(struct bed *bed, const char *path, enum svm_err want)
{
    char reason[120], *partial;
    uint64_t seq;
    struct stat info;
    enum svm_err err = store_checkpoint(bed->store, path, &seq, reason);
    ck_assert_msg(err == want, "%s: %s, %s", path, svm_err_name(err), reason);
    ck_assert_uint_gt(strlen(reason), 0);
    ck_assert_int_gt(asprintf(&partial, "%s.partial", path), 0);
    ck_assert_int_ne(lstat(partial, &info), 0);
    free(partial);
    ck_assert_ptr_null(store_failure(bed->store));
    bed_commit(bed, 5);
    bed_materialise(bed, SIZE_MAX);
    ck_assert_ptr_null(store_failure(bed->store));
}

START_TEST(a_checkpoint_that_cannot_be_made_leaves_the_store_well)
{
    struct bed bed;
    char path[512], name[256];
    bed_init_dir(&bed, 3, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, 5);
    expect_no_checkpoint(&bed, "/nowhere/at/all", SVM_E_INVALID_PARAMS);
    snprintf(path, sizeof path, "%s/FORMAT/copy", bed.dir);
    expect_no_checkpoint(&bed, path, SVM_E_INVALID_PARAMS);
    for (unsigned len = 248; len < sizeof name;
         len += 7) { /* with .partial one too many; too many */
        memset(name, 'n', len);
        name[len] = '\0';
        snprintf(path, sizeof path, "%s/%s", bed.dir, name);
        expect_no_checkpoint(&bed, path, SVM_E_INVALID_PARAMS);
    }
    snprintf(path, sizeof path, "%s-link", bed.dir);
    ck_assert_int_eq(symlink("nothing", path), 0);
    expect_no_checkpoint(&bed, path, SVM_E_INVALID_PARAMS);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(path, path), 0);
    expect_no_checkpoint(&bed, path, SVM_E_INVALID_PARAMS);
    strcat(path, "/copy");
    expect_no_checkpoint(&bed, path, SVM_E_INVALID_PARAMS);
    path[strlen(path) - 5] = '\0';
    ck_assert_int_eq(unlink(path), 0);
    bed_deinit(&bed);
}
END_TEST

/* What an interrupted one has left is named, and not touched. */
START_TEST(a_part_of_a_checkpoint_is_in_the_way)
{
    struct bed bed;
    char path[128], partial[140], reason[120];
    uint64_t seq;
    bed_init_dir(&bed, 5, STORE_SYNC);
    bed_open(&bed);
    bed_commit(&bed, 5);
    snprintf(path, sizeof path, "%s-copy", bed.dir);
    snprintf(partial, sizeof partial, "%s.partial", path);
    ck_assert_int_eq(mkdir(partial, 0700), 0);
    ck_assert_int_eq(store_checkpoint(bed.store, path, &seq, reason), SVM_E_INVALID_PARAMS);
    ck_assert_ptr_nonnull(strstr(reason, ".partial is there"));
    ck_assert_int_eq(rmdir(partial), 0);
    ck_assert_int_eq(store_checkpoint(bed.store, path, &seq, reason), SVM_OK);
    bed_remove(path);
    bed_deinit(&bed);
}
END_TEST

/* The place for the copy fills up: the copy has failed, not the store. (With state's files it is the database that would write past the limit, and
 * it aborts where its assertions are built in.) */
START_TEST(a_checkpoint_without_room_leaves_the_store_well)
{
    enum { ROOM = 512 << 10 };
    struct bed bed;
    char path[128], reason[120];
    struct rlimit limit, old;
    struct store_counts counts = {0};
    uint64_t seq;
    bed_init_dir(&bed, 4, STORE_SYNC);
    bed_open(&bed);
    while (counts.log_bytes <= 2 * ROOM) {
        bed_commit(&bed, 200);
        store_counts(bed.store, &counts);
    }
    snprintf(path, sizeof path, "%s-full", bed.dir);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = ROOM;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum svm_err err = store_checkpoint(bed.store, path, &seq, reason);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_msg(err == SVM_E_IO, "%s", svm_err_name(err));
    ck_assert_msg(strncmp(reason, "log", 3) == 0, "%s", reason);
    expect_no_checkpoint(&bed, "/nowhere/at/all", SVM_E_INVALID_PARAMS);
    err = store_checkpoint(bed.store, path, &seq, reason);
    ck_assert_msg(err == SVM_OK, "%s", reason);
    bed_remove(path);
    bed_deinit(&bed);
}
END_TEST

/* All of the state would have to be copied, while nothing is materialised. */
START_TEST(a_checkpoint_on_another_file_system_is_refused)
{
    struct bed bed;
    struct stat here, there;
    char path[] = "/dev/shm/supervm-XXXXXX/copy", reason[120];
    char *end = strrchr(path, '/');
    uint64_t seed = bed_seed("a_checkpoint_on_another_file_system_is_refused"), seq;
    bed_init_dir(&bed, seed, STORE_SYNC);
    bed_open(&bed);
    *end = '\0';
    if (stat(bed.dir, &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev ||
        mkdtemp(path) == NULL) {
        printf("SKIP: /dev/shm is not another file system that can be written to\n");
        bed_deinit(&bed);
        return;
    }
    *end = '/';
    bed_commit(&bed, 5);
    enum svm_err err = store_checkpoint(bed.store, path, &seq, reason);
    ck_assert_msg(err == SVM_E_INVALID_PARAMS, "%s", svm_err_name(err));
    ck_assert_msg(strstr(reason, "file system") != NULL, "%s", reason);
    *end = '\0';
    ck_assert_msg(rmdir(path) == 0, "something was left there");
    bed_commit(&bed, 5);
    bed_materialise(&bed, SIZE_MAX);
    bed_check(&bed, 10);
    bed_deinit(&bed);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == WORKER_ARGS)
        return worker(argv);
    Suite *suite = suite_create("store_dir");
    for (int files = 0; files < 2; files++) {
        TCase *tcase = tcase_create(files ? "dir, as files" : "dir");
        tcase_set_timeout(tcase, 200);
        tcase_add_test(tcase, a_directory_comes_back);
        tcase_add_test(tcase, files_are_private);
        tcase_add_test(tcase, where_others_may_write_is_refused);
        tcase_add_test(tcase, one_process_at_a_time);
        tcase_add_test(tcase, foreign_data_is_refused_and_not_touched);
        tcase_add_test(tcase, an_unusable_path_is_an_error);
        tcase_add_test(tcase, creation_can_be_begun_anew);
        tcase_add_test(tcase, kill_loses_nothing);
        tcase_add_test(tcase, a_torn_wal_leaves_a_prefix);
        tcase_add_test(tcase, a_flipped_bit_in_the_wal_leaves_a_prefix);
        tcase_add_test(tcase, a_synced_wal_is_whole_or_refused);
        tcase_add_test(tcase, a_damaged_mark_does_no_harm);
        tcase_add_test(tcase, a_checkpoint_opens_as_any_directory);
        tcase_add_test(tcase, a_checkpoint_that_cannot_be_made_leaves_the_store_well);
        tcase_add_test(tcase, a_part_of_a_checkpoint_is_in_the_way);
        tcase_add_test(tcase, a_checkpoint_without_room_leaves_the_store_well);
        tcase_add_test(tcase, a_checkpoint_on_another_file_system_is_refused);
        if (files)
            tcase_add_checked_fixture(tcase, bed_files, NULL);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
