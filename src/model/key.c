/* Keys, and the files they live in. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <svm/tx.h>

#include "base/bytes.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

enum { KEY_TEXT_BYTES = 66 }; /* 0x + 64 digits */

void svm_key_generate(struct svm_secret_key *key_out)
{
    crypto_random(key_out->seed, sizeof key_out->seed);
}

void svm_key_public(struct svm_public_key *public_out, const struct svm_secret_key *key)
{
    crypto_ed25519_public(public_out->b, key->seed);
}

void svm_key_address(struct svm_address *address_out, const struct svm_public_key *public_key)
{
    uint8_t bytes[1 + sizeof public_key->b] = {0x00}; /* the scheme: Ed25519 */
    memcpy(bytes + 1, public_key->b, sizeof public_key->b);
    crypto_sha256(address_out->b, bytes, sizeof bytes);
}

void svm_key_wipe(struct svm_secret_key *key)
{
    crypto_wipe(key, sizeof *key);
}

void svm_sign(struct svm_signature *signature_out, const struct svm_secret_key *key,
              struct svm_bytes message)
{
    crypto_ed25519_sign(signature_out->b, key->seed, message.ptr, message.len);
}

bool svm_verify(const struct svm_public_key *public_key, const struct svm_signature *signature,
                struct svm_bytes message)
{
    return crypto_ed25519_verify(public_key->b, signature->b, message.ptr, message.len);
}

/* read_all: up to CAP bytes of FD; -1 on an I/O error. */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        const ssize_t n = read(fd, buf + len, cap - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            len += (size_t)n;
    }
    return (ssize_t)len;
}

static bool write_all(int fd, const char *buf, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, buf, len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            buf += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* parse_key: one line of exactly KEY_TEXT_BYTES, its newline optional. Decoded in its place: no copy is left on the stack. */
static enum svm_err parse_key(struct svm_secret_key *key_out, const char *text, size_t len)
{
    size_t seed_len;
    if (len == KEY_TEXT_BYTES + 1 && text[KEY_TEXT_BYTES] == '\n')
        len--;
    if (len == KEY_TEXT_BYTES && text[0] == '0' && text[1] == 'x' &&
        hex_decode(key_out->seed, sizeof key_out->seed, &seed_len, text + 2, len - 2))
        return SVM_OK;
    svm_key_wipe(key_out);
    return SVM_E_BAD_KEY;
}

enum svm_err svm_key_load(struct svm_secret_key *key_out, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return SVM_E_IO;
    enum svm_err err = SVM_E_IO;
    char text[KEY_TEXT_BYTES + 2]; /* one more than a good file has, so that a longer one is seen */
    struct stat info;
    if (fstat(fd, &info) != 0)
        goto done;
    err = SVM_E_BAD_KEY;
    if (!S_ISREG(info.st_mode) || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        goto done;
    err = SVM_E_IO;
    const ssize_t len = read_all(fd, text, sizeof text);
    if (len < 0)
        goto done;
    err = parse_key(key_out, text, (size_t)len);
done:
    crypto_wipe(text, sizeof text);
    close(fd);
    return err;
}

enum svm_err svm_key_save(const struct svm_secret_key *key, const char *path)
{
    const int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return SVM_E_IO;
    char text[KEY_TEXT_BYTES + 1];
    svm_hex32_format(text, key->seed);
    text[KEY_TEXT_BYTES] = '\n';
    bool good = write_all(fd, text, sizeof text) && fsync(fd) == 0;
    crypto_wipe(text, sizeof text);
    good = close(fd) == 0 && good;
    if (good)
        return SVM_OK;
    unlink(path); /* ours since O_EXCL, and of no use half written */
    return SVM_E_IO;
}
