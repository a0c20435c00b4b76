#include "crash/model.h"

#include "base/hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, MOST_ENTRIES = 64, MOST_ITEMS = 8192 };

struct entry {
    char name[TRACE_NAME];
    size_t node;
};

struct node {
    uint64_t inode;
    bool is_directory;
    uint8_t *bytes;
    size_t size, capacity;
    struct entry entries[MOST_ENTRIES];
    size_t entry_count;
};

struct model {
    const struct trace *trace;
    size_t *synced_by; /* of each call: the first sync behind it that covers it; SIZE_MAX: none */
    struct node *nodes;
    size_t node_count;
    size_t cut;
    size_t items[MOST_ITEMS]; /* calls that were not synced; SIZE_MAX: all those on LMDB's file */
    size_t item_count;
    uint64_t random;
};

static bool is_data(const struct trace_op *op)
{
    return op->kind == TRACE_WRITE || op->kind == TRACE_TRUNCATE;
}

static bool is_index_data(const struct trace_op *op)
{
    return is_data(op) && strcmp(op->file, "data.mdb") == 0;
}

static bool changes(const struct trace_op *op)
{
    return op->kind != TRACE_SYNC && op->kind != TRACE_MARK;
}

static bool covers(const struct trace_op *sync, const struct trace_op *op)
{
    if (sync->kind != TRACE_SYNC)
        return false;
    return is_data(op) ? sync->inode == op->inode : sync->inode == op->parent;
}

static size_t node_of(struct model *model, uint64_t inode)
{
    for (size_t i = 0; i < model->node_count; i++) {
        if (model->nodes[i].inode == inode)
            return i;
    }
    struct node *node = &model->nodes[model->node_count];
    memset(node, 0, sizeof(*node));
    node->inode = inode;
    return model->node_count++;
}

struct model *model_new(const struct trace *trace)
{
    struct model *model = calloc(1, sizeof(*model));
    model->trace = trace;
    model->synced_by = calloc(trace->count, sizeof(*model->synced_by));
    model->nodes = calloc(4096, sizeof(*model->nodes));
    node_of(model, trace->root);
    for (size_t i = 0; i < trace->count; i++) {
        model->synced_by[i] = SIZE_MAX;
        for (size_t j = i + 1; changes(&trace->ops[i]) && j < trace->count; j++) {
            if (!covers(&trace->ops[j], &trace->ops[i]))
                continue;
            model->synced_by[i] = j;
            break;
        }
    }
    return model;
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < model->node_count; i++)
        free(model->nodes[i].bytes);
    free(model->nodes);
    free(model->synced_by);
    free(model);
}

size_t model_cut(struct model *model, size_t cut)
{
    bool has_index = false;
    model->cut = cut;
    model->item_count = 0;
    for (size_t i = 0; i < cut; i++) {
        const struct trace_op *op = &model->trace->ops[i];
        if (!changes(op) || model->synced_by[i] < cut)
            continue;
        if (is_index_data(op) && has_index)
            continue;
        if (model->item_count == MOST_ITEMS)
            abort();
        has_index = has_index || is_index_data(op);
        model->items[model->item_count++] = is_index_data(op) ? SIZE_MAX : i;
    }
    return model->item_count;
}

/* -- building ---------------------------------------------------------------------------------- */

static uint64_t next_random(struct model *model)
{
    model->random ^= model->random >> 12;
    model->random ^= model->random << 25;
    model->random ^= model->random >> 27;
    return model->random * UINT64_C(2685821657736338717);
}

static void set_size(struct node *node, size_t size)
{
    if (size > node->capacity) {
        node->capacity = size * 2;
        node->bytes = realloc(node->bytes, node->capacity);
    }
    if (size > node->size)
        memset(node->bytes + node->size, 0, size - node->size);
    node->size = size;
}

static void write_part(struct node *node, const struct trace_op *op, const uint8_t *data,
                       uint64_t from, uint64_t to)
{
    if (op->offset + to > node->size)
        set_size(node, (size_t)(op->offset + to));
    memcpy(node->bytes + op->offset + from, data + from, (size_t)(to - from));
}

/* Sector by sector, as they lie in the file. */
static void write_sectors(struct model *model, struct node *node, const struct trace_op *op,
                          const uint8_t *data)
{
    for (uint64_t from = 0; from < op->length;) {
        uint64_t to = from + SECTOR - (op->offset + from) % SECTOR;
        if (to > op->length)
            to = op->length;
        if (next_random(model) >> 63 != 0)
            write_part(node, op, data, from, to);
        from = to;
    }
}

static void remove_entry(struct node *node, const char *name)
{
    for (size_t i = 0; i < node->entry_count; i++) {
        if (strcmp(node->entries[i].name, name) == 0)
            node->entries[i--] = node->entries[--node->entry_count];
    }
}

static void add_entry(struct node *node, const char *name, size_t of)
{
    remove_entry(node, name);
    if (node->entry_count == MOST_ENTRIES)
        abort();
    snprintf(node->entries[node->entry_count].name, TRACE_NAME, "%s", name);
    node->entries[node->entry_count++].node = of;
}

static void apply(struct model *model, const struct trace_op *op, bool by_sectors)
{
    size_t node = node_of(model, op->inode);
    size_t parent = op->parent != 0 ? node_of(model, op->parent) : 0;
    size_t parent2 = op->parent2 != 0 ? node_of(model, op->parent2) : 0;
    const uint8_t *data = model->trace->data + op->data;
    switch (op->kind) {
    case TRACE_CREATE:
    case TRACE_MKDIR:
        model->nodes[node].is_directory = op->kind == TRACE_MKDIR;
        add_entry(&model->nodes[parent], op->name, node);
        break;
    case TRACE_WRITE:
        if (by_sectors)
            write_sectors(model, &model->nodes[node], op, data);
        else
            write_part(&model->nodes[node], op, data, 0, op->length);
        break;
    case TRACE_TRUNCATE:
        set_size(&model->nodes[node], (size_t)op->offset);
        break;
    case TRACE_RENAME:
        remove_entry(&model->nodes[parent], op->name);
        add_entry(&model->nodes[parent2], op->name2, node);
        break;
    case TRACE_EXCHANGE:
        add_entry(&model->nodes[parent], op->name, node_of(model, op->inode2));
        add_entry(&model->nodes[parent2], op->name2, node);
        break;
    case TRACE_UNLINK:
        remove_entry(&model->nodes[parent], op->name);
        break;
    case TRACE_SYNC:
    case TRACE_MARK:
        break;
    }
}

static bool is_item(const struct model *model, size_t item, size_t i)
{
    return model->items[item] == i ||
           (model->items[item] == SIZE_MAX && is_index_data(&model->trace->ops[i]));
}

static bool kept(struct model *model, const struct variant *variant, size_t i)
{
    switch (variant->kind) {
    case KEEP_ALL:
        return true;
    case DROP_ALL:
        return false;
    case DROP_ONE:
        return !is_item(model, variant->which, i);
    case KEEP_ONE:
        return is_item(model, variant->which, i);
    case KEEP_RANDOM:
        break;
    }
    /* A write is looked at sector by sector, a name is there or not. */
    return is_data(&model->trace->ops[i]) || next_random(model) >> 63 != 0;
}

/* The mark of an index that says clean; else what LMDB's file holds is not looked at. */
static bool says_clean(const struct model *model, const struct node *index)
{
    for (size_t i = 0; i < index->entry_count; i++) {
        const struct node *node = &model->nodes[index->entries[i].node];
        if (strcmp(index->entries[i].name, "mark") == 0)
            return node->size >= 16 && node->bytes[12] == 1;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static uint64_t hash_node(struct model *model, size_t at, uint64_t hash, bool looks)
{
    struct node *node = &model->nodes[at];
    if (!node->is_directory)
        return looks ? ehi_hash64(node->bytes != NULL ? node->bytes : (const uint8_t *)"",
                                  node->size, hash)
                     : hash;
    qsort(node->entries, node->entry_count, sizeof(node->entries[0]), by_name);
    bool clean = says_clean(model, node);
    for (size_t i = 0; i < node->entry_count; i++) {
        const struct entry *entry = &node->entries[i];
        if (strcmp(entry->name, "lock.mdb") == 0)
            continue;
        hash = ehi_hash64(entry->name, strlen(entry->name), hash);
        hash = hash_node(model, entry->node, hash, clean || strcmp(entry->name, "data.mdb") != 0);
    }
    return ehi_hash64("/", 1, hash);
}

uint64_t model_build(struct model *model, const struct variant *variant)
{
    for (size_t i = 0; i < model->node_count; i++) {
        model->nodes[i].size = 0;
        model->nodes[i].entry_count = 0;
    }
    model->nodes[0].is_directory = true;
    model->random = variant->seed * 2 + 1;
    for (size_t i = 0; i < model->cut; i++) {
        const struct trace_op *op = &model->trace->ops[i];
        if (!changes(op))
            continue;
        bool synced = model->synced_by[i] < model->cut;
        if (synced || kept(model, variant, i))
            apply(model, op, !synced && variant->kind == KEEP_RANDOM);
    }
    return hash_node(model, 0, 0, true);
}

static void write_file(int dirfd, const char *name, const struct node *node)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    size_t done = 0;
    while (fd >= 0 && done < node->size) {
        ssize_t n = write(fd, node->bytes + done, node->size - done);
        if (n <= 0)
            abort();
        done += (size_t)n;
    }
    if (fd < 0 || close(fd) != 0)
        abort();
}

/* After a power cut it is another boot. Here it is the same one, and an inode's number may be given again: so the mark says another. */
static void write_mark(int dirfd, const char *name, const struct node *node)
{
    enum { BOOT_ID = 32, CHECKSUM = 56, BYTES = 64 };
    uint8_t mark[BYTES];
    struct node other = *node;
    if (node->size == BYTES &&
        ehi_get_le64(node->bytes + CHECKSUM) == ehi_hash64(node->bytes, CHECKSUM, 0)) {
        memcpy(mark, node->bytes, BYTES);
        mark[BOOT_ID] ^= 1;
        ehi_put_le64(mark + CHECKSUM, ehi_hash64(mark, CHECKSUM, 0));
        other.bytes = mark;
    }
    write_file(dirfd, name, &other);
}

static void write_directory(const struct model *model, int dirfd, const struct node *node)
{
    for (size_t i = 0; i < node->entry_count; i++) {
        const struct entry *entry = &node->entries[i];
        const struct node *child = &model->nodes[entry->node];
        if (strcmp(entry->name, "lock.mdb") == 0)
            continue; /* LMDB makes it anew where nobody has the environment open */
        if (!child->is_directory) {
            (strcmp(entry->name, "mark") == 0 ? write_mark : write_file)(dirfd, entry->name, child);
            continue;
        }
        int fd = -1;
        if (mkdirat(dirfd, entry->name, 0700) == 0)
            fd = openat(dirfd, entry->name, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
            abort();
        write_directory(model, fd, child);
        close(fd);
    }
}

void model_write(const struct model *model, const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        abort();
    write_directory(model, fd, &model->nodes[0]);
    close(fd);
}

void model_describe(const struct model *model, size_t item, char *text, size_t size)
{
    static const char *const words[] = {"the creation of",
                                        "the making of",
                                        "a write to",
                                        "a truncation of",
                                        "",
                                        "the renaming of",
                                        "the exchange of",
                                        "the removal of",
                                        ""};
    if (model->items[item] == SIZE_MAX) {
        snprintf(text, size, "what was written to data.mdb");
        return;
    }
    const struct trace_op *op = &model->trace->ops[model->items[item]];
    snprintf(text, size, "call %zu, %s %s", model->items[item], words[op->kind], op->file);
}
