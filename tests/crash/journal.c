#include "crash/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct journal *journal_map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return NULL;
    void *at = MAP_FAILED;
    if (ftruncate(fd, (off_t)sizeof(struct journal)) == 0)
        at = mmap(NULL, sizeof(struct journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

struct record *journal_begin(struct journal *journal, const struct svm_digest *digest,
                             struct svm_bytes tx, int64_t delta)
{
    uint32_t index = atomic_load(&journal->next);
    do {
        if (index >= JOURNAL_RECORDS || tx.len > JOURNAL_TX_BYTES)
            return NULL;
    } while (!atomic_compare_exchange_weak(&journal->next, &index, index + 1));
    struct record *record = &journal->records[index];
    record->digest = *digest;
    record->delta = delta;
    memcpy(record->bytes, tx.ptr, tx.len);
    record->len = (uint32_t)tx.len; /* 0 = killed before this line: it was never handed in */
    return record;
}

void journal_told(struct journal *journal, uint64_t seq)
{
    uint64_t have = atomic_load(&journal->told_seq);
    while (have < seq && !atomic_compare_exchange_weak(&journal->told_seq, &have, seq))
        continue;
}

bool journal_binds(struct journal *journal, struct record *record)
{
    return atomic_load(&record->promised) != 0 || record->settled != 0 ||
           atomic_load(&record->life) == atomic_load(&journal->lives);
}

void journal_answered(struct journal *journal, struct record *record, enum svm_wait wait,
                      const struct svm_outcome *outcome)
{
    journal_told(journal, outcome->durable_seq);
    if (outcome->err != SVM_OK) {
        if (wait == SVM_WAIT_DURABLE && (outcome->refusal->has & SVM_HAS_SEQ))
            journal_told(journal, outcome->refusal->seq); /* it may rest on what is durable only */
        atomic_fetch_add(&record->refusals, 1);
        return;
    }
    if (outcome->pending)
        return;
    uint64_t seq = outcome->receipt->seq, before = atomic_load(&record->seq);
    if (before != 0 && before != seq && journal_binds(journal, record)) {
        fprintf(stderr, "one transaction was answered with positions %llu and %llu\n",
                (unsigned long long)before, (unsigned long long)seq);
        atomic_fetch_add(&journal->wrong, 1);
    }
    atomic_store(&record->seq, seq);
    atomic_store(&record->life, atomic_load(&journal->lives));
    if (wait != SVM_WAIT_DURABLE && !outcome->durable)
        return;
    journal_told(journal, seq);
    atomic_store(&record->promised, 1);
    atomic_fetch_add(&journal->answers, 1);
}
