#include "crash/spoil.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/segment.h"

/* last_segment: its number; 0 = none. */
static uint64_t last_segment(const char *dir)
{
    uint64_t last = 0, number;
    DIR *listing = opendir(dir);
    if (listing == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (store_segment_number(entry->d_name, &number) && number > last)
            last = number;
    closedir(listing);
    return last;
}

static struct store_segment segment_open(const char *dir, uint64_t number)
{
    char path[360], name[STORE_SEGMENT_NAME_BYTES];
    struct stat info;
    struct store_segment segment = {.number = number};
    store_segment_name(name, number);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    segment.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    SVM_ASSERT(segment.fd >= 0 && fstat(segment.fd, &info) == 0);
    SVM_ASSERT(store_segment_scan(&segment, (uint64_t)info.st_size) == SVM_OK);
    return segment;
}

void spoil_log(const char *datadir, bool next)
{
    static const uint8_t zeros[700];
    char dir[320];
    struct store_record record;
    snprintf(dir, sizeof dir, "%s/log", datadir);
    uint64_t number = last_segment(dir);
    if (number == 0)
        return;
    struct store_segment segment = segment_open(dir, number);
    uint64_t key =
        segment.count == 0 ? UINT64_C(1) << 40 : segment.records[segment.count - 1].key + 1000000;
    bool good = segment.end >= STORE_SEGMENT_HEAD_BYTES;
    if (good && next) {
        free(segment.records);
        close(segment.fd);
        segment = segment_open(dir, number + 1);
        SVM_ASSERT(store_segment_begin(&segment));
    }
    SVM_ASSERT(!good || store_segment_write(&segment, &record, key,
                                            (struct svm_bytes){zeros, sizeof zeros}));
    free(segment.records);
    close(segment.fd);
}
