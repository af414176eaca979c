// SPDX-License-Identifier: Apache-2.0
//
// The tree of znodes, and the transactions that change it. A transaction was checked before it was
// made: applying one cannot fail.

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "sim/zoo.h"

static void free_node(struct znode *node)
{
    if (node == NULL)
        return;
    mem_free(node->data);
    mem_free(node);
}

void zoo_tree_free(struct zoo_tree *tree)
{
    MAP_FOREACH (&tree->nodes, entry)
        free_node(entry->value);
    map_free(&tree->nodes);
}

void zoo_put_parent(const char *path, struct buf *out)
{
    buf_append(out, path, (size_t)(strrchr(path, '/') - path));
    buf_append(out, "", 1);
}

const char *zoo_next_child(const struct zoo_tree *tree, const char *parent, size_t *position)
{
    size_t size = strlen(parent);
    const struct map_entry *entry;
    while ((entry = map_next(&tree->nodes, position)) != NULL) {
        const struct znode *node = entry->value;
        if (node->name_at == size + 1 && memcmp(entry->key, parent, size) == 0)
            return entry->key + node->name_at;
    }
    return NULL;
}

const char *zoo_lowest_candidate(const struct zoo_tree *tree)
{
    static const char prefix[] = "/mesos/json.info_";
    const char *lowest = NULL;
    MAP_FOREACH (&tree->nodes, entry) {
        if (strncmp(entry->key, prefix, sizeof(prefix) - 1) == 0 &&
            (lowest == NULL || strcmp(entry->key, lowest) < 0))
            lowest = entry->key;
    }
    return lowest;
}

static void *copy_bytes(const void *data, size_t size)
{
    void *copy = mem_alloc(size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

static void touch_parent(struct zoo_tree *tree, const char *path, bool is_created)
{
    AUTO_BUF struct buf name = BUF_INIT;
    zoo_put_parent(path, &name);
    struct znode *parent = map_get(&tree->nodes, name.data);
    if (parent == NULL)
        return; // the root
    parent->children_changed = tree->zxid;
    parent->sequence += is_created;
}

void zoo_tree_apply(struct zoo_tree *tree, const struct zoo_txn *txn)
{
    CHECK(txn->zxid > tree->zxid);
    tree->zxid = txn->zxid;
    for (size_t i = 0; i < txn->count; i++) {
        const struct zoo_change *change = &txn->changes[i];
        struct znode *node = map_get(&tree->nodes, change->path);
        CHECK((node == NULL) == (change->what == ZNODE_CREATED));
        if (change->what == ZNODE_DELETED) {
            free_node(map_remove(&tree->nodes, change->path));
            touch_parent(tree, change->path, false);
            continue;
        }
        if (node == NULL) {
            node = mem_zalloc(sizeof(*node));
            node->created = node->children_changed = txn->zxid;
            node->owner = change->owner;
            node->name_at = (size_t)(strrchr(change->path, '/') - change->path) + 1;
            map_put(&tree->nodes, change->path, node);
            touch_parent(tree, change->path, true);
        } else {
            node->version++;
        }
        mem_free(node->data);
        node->data = copy_bytes(change->data, change->size);
        node->size = change->size;
        node->changed = txn->zxid;
    }
}

struct zoo_txn *zoo_txn_new(size_t capacity)
{
    struct zoo_txn *txn = mem_zalloc(sizeof(*txn));
    txn->refs = 1;
    txn->changes = mem_calloc(capacity + 1, sizeof(*txn->changes));
    return txn;
}

void zoo_txn_add(struct zoo_txn *txn, int what, const char *path, const void *data, size_t size,
                 int64_t owner)
{
    struct zoo_change *change = &txn->changes[txn->count++];
    change->what = what;
    change->path = mem_strdup(path);
    change->data = copy_bytes(data, size);
    change->size = size;
    change->owner = owner;
}

struct zoo_txn *zoo_txn_unref(struct zoo_txn *txn)
{
    if (--txn->refs > 0)
        return NULL;
    for (size_t i = 0; i < txn->count; i++) {
        mem_free(txn->changes[i].path);
        mem_free(txn->changes[i].data);
    }
    mem_free(txn->changes);
    mem_free(txn);
    return NULL;
}
