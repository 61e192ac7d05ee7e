/* Keys and key files, and the derivations that every client has to reproduce. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <svm/tx.h>

static char dir[] = "/tmp/supervm-key-XXXXXX";
static char path[sizeof dir + 8];

static void set_up(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(dir);
}

static void write_file(const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

START_TEST(a_saved_key_is_private_and_loads)
{
    struct svm_secret_key key, other, loaded;
    svm_key_generate(&key);
    svm_key_generate(&other);
    ck_assert_mem_ne(key.seed, other.seed, 32);
    ck_assert_int_eq(svm_key_save(&key, path), SVM_OK);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    ck_assert_int_eq(info.st_size, 67);
    ck_assert_int_eq(svm_key_load(&loaded, path), SVM_OK);
    ck_assert_mem_eq(key.seed, loaded.seed, 32);
    ck_assert_int_eq(svm_key_save(&other, path), SVM_E_IO); /* never overwrites */
    ck_assert_int_eq(svm_key_load(&loaded, path), SVM_OK);
    ck_assert_mem_eq(key.seed, loaded.seed, 32);
    static const uint8_t zero[32];
    svm_key_wipe(&key);
    ck_assert_mem_eq(key.seed, zero, 32);
}
END_TEST

START_TEST(others_must_not_read_it)
{
    struct svm_secret_key key;
    write_file("0x" DIGITS "\n", 0400);
    ck_assert_int_eq(svm_key_load(&key, path), SVM_OK);
    ck_assert_uint_eq(key.seed[31], 0x1f);
    static const mode_t open_modes[] = {0640, 0604, 0660, 0610, 0601, 0620};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        write_file("0x" DIGITS "\n", open_modes[i]);
        ck_assert_int_eq(svm_key_load(&key, path), SVM_E_BAD_KEY);
    }
    ck_assert_int_eq(svm_key_load(&key, dir), SVM_E_BAD_KEY);
    ck_assert_int_eq(svm_key_load(&key, "/nonexistent/key"), SVM_E_IO);
    ck_assert_int_eq(svm_key_save(&key, "/nonexistent/key"), SVM_E_IO);
}
END_TEST

START_TEST(malformed_files_are_refused)
{
    static const char *const bad[] = {
        "",
        "\n",
        DIGITS "\n",
        "0x" DIGITS "0\n",
        "0x" DIGITS "\n\n",
        "0x" DIGITS " ",
        "0x" DIGITS "\r\n",
        "0x0001\n",
        "0xg00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"};
    struct svm_secret_key key;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(bad[i], 0600);
        ck_assert_msg(svm_key_load(&key, path) == SVM_E_BAD_KEY, "file %d", (int)i);
    }
    write_file("0x" DIGITS, 0600); /* the newline is optional */
    ck_assert_int_eq(svm_key_load(&key, path), SVM_OK);
}
END_TEST

/* Values of another implementation (Python's hashlib and OpenSSL). */
START_TEST(derivations_are_fixed)
{
    struct svm_secret_key key = {{0}};
    struct svm_public_key public_key;
    struct svm_address address;
    char text[67];
    svm_key_public(&public_key, &key);
    svm_hex32_format(text, public_key.b);
    ck_assert_str_eq(text, "0x3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
    svm_key_address(&address, &public_key);
    svm_hex32_format(text, address.b);
    ck_assert_str_eq(text, "0x04471388b20212857f8f9eafb4f6f17ec7ef3bff6ff20786552d572f5d6511a1");
    struct svm_digest digest;
    svm_tx_digest(&digest, (struct svm_bytes){(const uint8_t *)"abc", 3});
    svm_hex32_format(text, digest.b);
    ck_assert_str_eq(text, "0x3099d1b72f0e54de7abead55d44eb8f3fcd8d84eecc8542545a38a6d30075191");
    struct svm_id id;
    svm_tx_new_object_id(&id, &digest, 0x0102);
    svm_hex32_format(text, id.b);
    ck_assert_str_eq(text, "0xc876a1115377da85f4f80a219d809669e318d7e5769859ebb993fa220fc51ffa");
}
END_TEST

START_TEST(object_digests_are_fixed)
{
    struct svm_object object = {
        .id = {{1}},
        .version = 2,
        .kind = SVM_KIND_SHARED,
        .controller = {{3}},
        .open_withdraw = true,
        .balance = {4},
        .type = {(const uint8_t *)"pool", 4},
        .data = {(const uint8_t *)"xyz", 3},
        .created_ms = 5,
        .seq = 6,
    };
    struct svm_digest digest;
    char text[67];
    svm_object_digest(&digest, &object);
    svm_hex32_format(text, digest.b);
    ck_assert_str_eq(text, "0x8718457124507691d1fd9fb494e4917aacb254933d806ae3cb9600a69a48f803");
    object.created_ms = object.modified_ms = object.seq = 99; /* outside the digest */
    object.last_tx.b[0] = 1;
    svm_object_digest(&digest, &object);
    svm_hex32_format(text, digest.b);
    ck_assert_str_eq(text, "0x8718457124507691d1fd9fb494e4917aacb254933d806ae3cb9600a69a48f803");
    object.kind = SVM_KIND_OWNED;
    object.owner.b[0] = 7;
    svm_object_digest(&digest, &object);
    svm_hex32_format(text, digest.b);
    ck_assert_str_eq(text, "0x6839dbf9874fbebefce0abaa8854ef73075cb7058e081adc2b3b552aca3287da");
    object.kind = SVM_KIND_IMMUTABLE;
    svm_object_digest(&digest, &object);
    svm_hex32_format(text, digest.b);
    ck_assert_str_eq(text, "0x5cf4d10f4bd000ea3963ded79feca99db479bb53ae2f09028bcf0a3fdc67de17");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_key");
    TCase *tcase = tcase_create("key");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_saved_key_is_private_and_loads);
    tcase_add_test(tcase, others_must_not_read_it);
    tcase_add_test(tcase, malformed_files_are_refused);
    tcase_add_test(tcase, derivations_are_fixed);
    tcase_add_test(tcase, object_digests_are_fixed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
