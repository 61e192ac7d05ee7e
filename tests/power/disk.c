#include "power/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "crash/driver.h"

enum { SECTOR_BYTES = 512, PAGE_BYTES = 4096 };

/* A file or a directory. */
struct node {
    uint64_t ino; /* 0 = a directory */
    uint8_t *bytes;
    size_t len; /* what is durable of it */
    struct change {
        uint64_t place; /* on the tape */
        bool size;      /* LEN is the new length; else LEN bytes at AT */
        uint64_t at, len;
        const uint8_t *bytes; /* on the tape */
    } * changes;              /* since the last sync */
    size_t change_count, change_cap;
};

struct entry {
    char *name;
    struct node *node;
};
/* Names, few enough to be looked through. */
struct names {
    struct entry *list;
    size_t count, cap;
};

/* What was done to names and is not durable. */
struct deed {
    uint64_t place;
    enum tape_kind kind;
    char *from, *to;
    struct node *node; /* that FROM stood for then */
};

struct disk {
    struct names durable, current;
    struct deed *deeds;
    size_t deed_count, deed_cap;
    struct node **nodes; /* all that ever were, until the next cut */
    size_t node_count, node_cap;
    struct disk_counts counts;
};

static void *grown(void *list, size_t *cap, size_t count, size_t each)
{
    if (count < *cap)
        return list;
    *cap = *cap == 0 ? 64 : 2 * *cap;
    list = realloc(list, *cap * each);
    SVM_ASSERT(list != NULL);
    return list;
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    SVM_ASSERT(copy != NULL);
    return copy;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static struct entry *name_find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].name, name) == 0)
            return &names->list[i];
    return NULL;
}

static struct node *node_at(const struct names *names, const char *name)
{
    const struct entry *entry = name_find(names, name);
    return entry == NULL ? NULL : entry->node;
}

static void name_put(struct names *names, const char *name, struct node *node)
{
    struct entry *entry = name_find(names, name);
    if (entry == NULL) {
        names->list = grown(names->list, &names->cap, names->count, sizeof *names->list);
        entry = &names->list[names->count++];
        entry->name = copy_of(name);
    }
    entry->node = node;
}

static void name_del(struct names *names, const char *name)
{
    struct entry *entry = name_find(names, name);
    if (entry == NULL)
        return;
    free(entry->name);
    *entry = names->list[--names->count];
}

static void names_clear(struct names *names)
{
    while (names->count > 0)
        free(names->list[--names->count].name);
}

static void names_copy(struct names *names, const struct names *from)
{
    names_clear(names);
    for (size_t i = 0; i < from->count; i++)
        name_put(names, from->list[i].name, from->list[i].node);
}

static void deed_apply(struct names *names, const struct deed *deed)
{
    switch (deed->kind) {
    case TAPE_CREATE:
    case TAPE_MKDIR:
        name_put(names, deed->from, deed->node);
        break;
    case TAPE_RENAME:
        name_del(names, deed->from);
        name_put(names, deed->to, deed->node);
        break;
    case TAPE_LINK:
        name_put(names, deed->to, deed->node);
        break;
    case TAPE_UNLINK:
    case TAPE_RMDIR:
        name_del(names, deed->from);
        break;
    case TAPE_WRITE:
    case TAPE_SIZE:
    case TAPE_SYNC:
    case TAPE_SYNC_DIR:
        break;
    }
}

/* in_dir: NAME lies in the directory DIR ("" = the top). */
static bool in_dir(const char *name, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 0)
        return strchr(name, '/') == NULL;
    return strncmp(name, dir, len) == 0 && name[len] == '/' && strchr(name + len + 1, '/') == NULL;
}

/* settle: the deeds before PLACE that concern DIR (NULL = all) are durable. */
static void settle(struct disk *disk, const char *dir, uint64_t place)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->deed_count; i++) {
        struct deed *deed = &disk->deeds[i];
        bool concerned =
            dir == NULL || in_dir(deed->from, dir) || (deed->to != NULL && in_dir(deed->to, dir));
        if (deed->place < place && concerned) {
            deed_apply(&disk->durable, deed);
            free(deed->from);
            free(deed->to);
        } else {
            disk->deeds[kept++] = *deed;
        }
    }
    disk->deed_count = kept;
}

/* ---- bytes ----------------------------------------------------------------------------------------------------- */

static void node_size(struct node *node, size_t len)
{
    if (len > node->len) {
        node->bytes = realloc(node->bytes, len);
        SVM_ASSERT(node->bytes != NULL);
        memset(node->bytes + node->len, 0, len - node->len);
    }
    node->len = len;
}

static void change_apply(struct node *node, const struct change *change)
{
    if (change->size) {
        node_size(node, change->len);
        return;
    }
    if (change->at + change->len > node->len)
        node_size(node, change->at + change->len);
    memcpy(node->bytes + change->at, change->bytes, change->len);
}

static void node_sync(struct node *node, uint64_t place)
{
    size_t done = 0;
    while (done < node->change_count && node->changes[done].place < place)
        change_apply(node, &node->changes[done++]);
    memmove(node->changes, node->changes + done,
            (node->change_count - done) * sizeof *node->changes);
    node->change_count -= done;
}

/* ---- the tape -------------------------------------------------------------------------------------------------- */

static struct node *node_make(struct disk *disk, uint64_t ino)
{
    struct node *node = calloc(1, sizeof *node);
    SVM_ASSERT(node != NULL);
    node->ino = ino;
    disk->nodes = grown(disk->nodes, &disk->node_cap, disk->node_count, sizeof(struct node *));
    disk->nodes[disk->node_count++] = node;
    return node;
}

/* node_of: the last file that had this number. */
static struct node *node_of(struct disk *disk, uint64_t ino)
{
    for (size_t i = disk->node_count; i-- > 0;)
        if (disk->nodes[i]->ino == ino)
            return disk->nodes[i];
    return NULL;
}

static void play_name(struct disk *disk, const struct tape_entry *entry, const char *names,
                      uint64_t place)
{
    bool two = entry->kind == TAPE_RENAME || entry->kind == TAPE_LINK;
    struct deed deed = {.place = place, .kind = (enum tape_kind)entry->kind};
    if (entry->kind == TAPE_CREATE || entry->kind == TAPE_MKDIR)
        deed.node = node_make(disk, entry->a);
    else
        deed.node = node_at(&disk->current, names);
    if (deed.node == NULL)
        return; /* of a file that is not seen */
    deed.from = copy_of(names);
    deed.to = two ? copy_of(names + strlen(names) + 1) : NULL;
    deed_apply(&disk->current, &deed);
    disk->deeds = grown(disk->deeds, &disk->deed_cap, disk->deed_count, sizeof *disk->deeds);
    disk->deeds[disk->deed_count++] = deed;
}

static void play_change(struct disk *disk, const struct tape_entry *entry, const uint8_t *bytes,
                        uint64_t place)
{
    struct node *node = node_of(disk, entry->a);
    if (node == NULL)
        return;
    node->changes =
        grown(node->changes, &node->change_cap, node->change_count, sizeof *node->changes);
    node->changes[node->change_count++] = (struct change){
        .place = place,
        .size = entry->kind == TAPE_SIZE,
        .at = entry->b,
        .len = entry->kind == TAPE_SIZE ? entry->b : entry->data_len,
        .bytes = bytes,
    };
}

static void play_sync(struct disk *disk, enum disk_kind kind, const struct tape_entry *entry,
                      const char *names)
{
    disk->counts.syncs++;
    if (kind == DISK_JOURNALLED)
        settle(disk, NULL, entry->b);
    if (entry->kind == TAPE_SYNC_DIR) {
        settle(disk, names, entry->b);
        return;
    }
    struct node *node = node_of(disk, entry->a);
    if (node != NULL)
        node_sync(node, entry->b);
}

void disk_play(struct disk *disk, enum disk_kind kind, const struct tape *tape)
{
    const uint8_t *at = (const uint8_t *)tape + TAPE_HEAD_BYTES;
    uint64_t used = atomic_load(&tape->used);
    for (uint64_t place = 0; place < used;) {
        struct tape_entry entry;
        memcpy(&entry, at + place, sizeof entry);
        const uint8_t *data = at + place + sizeof entry;
        disk->counts.entries++;
        switch ((enum tape_kind)entry.kind) {
        case TAPE_WRITE:
        case TAPE_SIZE:
            play_change(disk, &entry, data, place);
            break;
        case TAPE_SYNC:
        case TAPE_SYNC_DIR:
            play_sync(disk, kind, &entry, (const char *)data);
            break;
        case TAPE_CREATE:
        case TAPE_MKDIR:
        case TAPE_RENAME:
        case TAPE_LINK:
        case TAPE_UNLINK:
        case TAPE_RMDIR:
            play_name(disk, &entry, (const char *)data, place);
            break;
        }
        place += sizeof entry + ((entry.data_len + UINT64_C(7)) & ~UINT64_C(7));
    }
}

/* ---- the cut --------------------------------------------------------------------------------------------------- */

/* How a cut treats one file, or the names: a thing of a hundred is kept with this chance; units of the disk; whether they tear. */
struct fate {
    unsigned keep;
    size_t unit;
    bool tears;
};

static struct fate fate_of(struct rng *rng, enum disk_kind kind)
{
    static const unsigned chances[] = {0, 5, 50, 95, 100};
    return (struct fate){.keep = chances[rng_below(rng, 5)],
                         .unit = rng_below(rng, 2) ? SECTOR_BYTES : PAGE_BYTES,
                         .tears = kind == DISK_LOOSE};
}

static bool keeps(struct rng *rng, const struct fate *fate)
{
    return rng_below(rng, 100) < fate->keep;
}

/* unit_back: the bytes [FROM, TO) of NOW reach the disk, or a first part of them. */
static void unit_back(struct disk *disk, struct node *node, const struct node *now, size_t from,
                      size_t to, const struct fate *fate, struct rng *rng)
{
    if (!keeps(rng, fate)) {
        disk->counts.sectors_undone++;
        return;
    }
    if (fate->tears && rng_below(rng, 16) == 0) {
        to = from + rng_below(rng, to - from);
        disk->counts.torn++;
    }
    if (to > node->len)
        node_size(node, to);
    memcpy(node->bytes + from, now->bytes + from, to - from);
    disk->counts.sectors_kept++;
}

/* grow_back: an ordered file is longer only by what has been written. */
static void grow_back(struct disk *disk, struct node *node, const struct node *now, size_t to,
                      const struct fate *fate, struct rng *rng)
{
    size_t from = node->len;
    if (!keeps(rng, fate) || to <= from) {
        disk->counts.sectors_undone++;
        return;
    }
    if (rng_below(rng, 2)) /* not all of it, and perhaps not to the end of a sector */
        to = from + rng_below(rng, to - from + 1);
    node_size(node, to);
    memcpy(node->bytes + from, now->bytes + from, to - from);
    disk->counts.sectors_kept++;
}

/* write_back: what CHANGE, which NOW has, leaves on the disk. */
static void write_back(struct disk *disk, enum disk_kind kind, struct node *node,
                       const struct node *now, const struct change *change, const struct fate *fate,
                       struct rng *rng)
{
    if (change->size) {
        if (keeps(rng, fate))
            node_size(node, change->len);
        return;
    }
    size_t end = change->at + change->len;
    for (size_t from = change->at / fate->unit * fate->unit; from < end; from += fate->unit) {
        size_t to = from + fate->unit < now->len ? from + fate->unit : now->len;
        if (kind == DISK_LOOSE) {
            unit_back(disk, node, now, from, to, fate, rng);
            continue;
        }
        if (from < node->len)
            unit_back(disk, node, now, from, to < node->len ? to : node->len, fate, rng);
        if (to > node->len) {
            grow_back(disk, node, now, end, fate, rng);
            return;
        }
    }
}

static void node_cut(struct disk *disk, enum disk_kind kind, struct node *node, struct rng *rng)
{
    struct fate fate = fate_of(rng, kind);
    struct node now = {.len = 0};
    if (node->change_count == 0)
        return;
    node_size(&now, node->len);
    if (node->len > 0)
        memcpy(now.bytes, node->bytes, node->len);
    for (size_t i = 0; i < node->change_count; i++) {
        change_apply(&now, &node->changes[i]);
        write_back(disk, kind, node, &now, &node->changes[i], &fate, rng);
    }
    free(now.bytes);
    node->change_count = 0;
}

/* stopped: has a deed in the directory of NAME been undone? STOPPED has a flag for each node. A journal has one order, a loose
 * disk one in each directory: the database needs that much, for it does not sync the name of a manifest before CURRENT tells it. */
static bool *stopped(const struct disk *disk, enum disk_kind kind, const char *name, bool *flags)
{
    char dir[300];
    snprintf(dir, sizeof dir, "%s", name);
    char *slash = strrchr(dir, '/');
    if (kind == DISK_JOURNALLED || slash == NULL)
        return &flags[disk->node_count];
    *slash = '\0';
    const struct node *node = node_at(&disk->current, dir);
    for (size_t i = 0; i < disk->node_count; i++)
        if (disk->nodes[i] == node)
            return &flags[i];
    return &flags[disk->node_count];
}

static void names_cut(struct disk *disk, enum disk_kind kind, struct rng *rng)
{
    struct fate fate = fate_of(rng, kind);
    bool *flags = calloc(disk->node_count + 1, sizeof *flags);
    SVM_ASSERT(flags != NULL);
    for (size_t i = 0; i < disk->deed_count; i++) {
        struct deed *deed = &disk->deeds[i];
        bool *stop = stopped(disk, kind, deed->from, flags);
        *stop = *stop || !keeps(rng, &fate);
        if (*stop) {
            disk->counts.names_undone++;
        } else {
            deed_apply(&disk->durable, deed);
            disk->counts.names_kept++;
        }
        free(deed->from);
        free(deed->to);
    }
    disk->deed_count = 0;
    free(flags);
}

/* A name in a directory that is not there is lost with it. */
static void names_prune(struct names *names)
{
    for (size_t i = 0; i < names->count;) {
        char dir[300];
        bool there = true;
        snprintf(dir, sizeof dir, "%s", names->list[i].name);
        char *slash = strrchr(dir, '/');
        if (slash != NULL) {
            *slash = '\0';
            const struct node *node = node_at(names, dir);
            there = node != NULL && node->ino == 0;
        }
        if (there) {
            i++;
            continue;
        }
        name_del(names, names->list[i].name);
        i = 0;
    }
}

static void nodes_prune(struct disk *disk)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        struct node *node = disk->nodes[i];
        bool named = false;
        for (size_t k = 0; k < disk->durable.count && !named; k++)
            named = disk->durable.list[k].node == node;
        if (named) {
            disk->nodes[kept++] = node;
            continue;
        }
        free(node->bytes);
        free(node->changes);
        free(node);
    }
    disk->node_count = kept;
}

void disk_cut(struct disk *disk, enum disk_kind kind, struct rng *rng)
{
    names_cut(disk, kind, rng);
    names_prune(&disk->durable);
    for (size_t i = 0; i < disk->node_count; i++)
        node_cut(disk, kind, disk->nodes[i], rng);
    names_clear(&disk->current);
    nodes_prune(disk);
    names_copy(&disk->current, &disk->durable);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static bool file_write(const char *path, struct node *node)
{
    struct stat info;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    size_t done = 0;
    while (done < node->len) {
        ssize_t did = write(fd, node->bytes + done, node->len - done);
        if (did <= 0)
            break;
        done += (size_t)did;
    }
    bool good = done == node->len && fstat(fd, &info) == 0;
    close(fd);
    if (good)
        node->ino = info.st_ino;
    return good;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->name, ((const struct entry *)right)->name);
}

bool disk_write(struct disk *disk, const char *top)
{
    char path[600];
    driver_remove(top);
    if (mkdir(top, 0700) != 0)
        return false;
    struct names *names = &disk->durable;
    if (names->count > 0)
        qsort(names->list, names->count, sizeof *names->list, by_name); /* directories first */
    for (size_t i = 0; i < names->count; i++) {
        struct node *node = names->list[i].node;
        size_t first = 0; /* another name of the same file */
        while (names->list[first].node != node)
            first++;
        snprintf(path, sizeof path, "%s/%s", top, names->list[i].name);
        bool good;
        if (node->ino == 0) {
            good = mkdir(path, 0700) == 0;
        } else if (first < i) {
            char other[600];
            snprintf(other, sizeof other, "%s/%s", top, names->list[first].name);
            good = link(other, path) == 0;
        } else {
            good = file_write(path, node);
        }
        if (!good)
            return false;
    }
    return true;
}

struct disk *disk_create(void)
{
    struct disk *disk = calloc(1, sizeof *disk);
    SVM_ASSERT(disk != NULL);
    return disk;
}

void disk_destroy(struct disk *disk)
{
    struct rng rng;
    if (disk == NULL)
        return;
    rng_init(&rng, 0);
    disk_cut(disk, DISK_JOURNALLED, &rng);
    names_clear(&disk->durable);
    names_clear(&disk->current);
    nodes_prune(disk);
    free(disk->durable.list);
    free(disk->current.list);
    free(disk->deeds);
    free(disk->nodes);
    free(disk);
}

struct disk_counts disk_counts(const struct disk *disk)
{
    return disk->counts;
}
