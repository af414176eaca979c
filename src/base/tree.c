// SPDX-License-Identifier: Apache-2.0
//
// Treaps. A new node is hung below a leaf and rises; one that leaves sinks until it has no more
// than one child. Both take two rotations on average.

#include "base/tree.h"

#include <stdlib.h>

#include "base/check.h"

static uint32_t draw(struct tree *tree)
{
    tree->seed ^= tree->seed << 13;
    tree->seed ^= tree->seed >> 17;
    tree->seed ^= tree->seed << 5;
    return tree->seed;
}

// The pointer of the tree that leads to the node.
static struct tree_node **link_to(struct tree *tree, const struct tree_node *node)
{
    struct tree_node *parent = node->parent;
    return parent == NULL ? &tree->root : parent->left == node ? &parent->left : &parent->right;
}

// The node takes its parent's place, and the parent becomes its child.
static void rotate_up(struct tree *tree, struct tree_node *node)
{
    struct tree_node *parent = node->parent;
    struct tree_node **link = link_to(tree, parent);
    struct tree_node *moved;
    if (parent->left == node) {
        moved = node->right;
        parent->left = moved;
        node->right = parent;
    } else {
        moved = node->left;
        parent->right = moved;
        node->left = parent;
    }
    if (moved != NULL) {
        moved->parent = parent;
    }
    node->parent = parent->parent;
    parent->parent = node;
    *link = node;
}

// Links the node with its neighbours, of which either may be missing.
static void link_between(struct tree *tree, struct tree_node *previous, struct tree_node *node,
                         struct tree_node *next)
{
    node->previous = previous;
    node->next = next;
    *(previous != NULL ? &previous->next : &tree->first) = node;
    *(next != NULL ? &next->previous : &tree->last) = node;
}

static void hang(struct tree *tree, struct tree_node *node, struct tree_node *parent, bool is_right)
{
    node->parent = parent;
    if (is_right) {
        parent->right = node;
        link_between(tree, parent, node, parent->next);
    } else {
        parent->left = node;
        link_between(tree, parent->previous, node, parent);
    }
    while (node->parent != NULL && node->parent->priority < node->priority) {
        rotate_up(tree, node);
    }
}

void tree_insert(struct tree *tree, struct tree_node *node)
{
    CHECK(!node->is_in);
    *node = (struct tree_node){.priority = draw(tree), .is_in = true};
    tree->count++;
    if (tree->root == NULL) {
        tree->root = tree->first = tree->last = node;
        return;
    }
    if (tree->compare(tree->last, node) < 0) {
        hang(tree, node, tree->last, true);
        return;
    }
    if (tree->compare(node, tree->first) < 0) {
        hang(tree, node, tree->first, false);
        return;
    }
    struct tree_node *at = tree->root;
    for (;;) {
        bool is_right = tree->compare(at, node) < 0;
        struct tree_node *below = is_right ? at->right : at->left;
        if (below == NULL) {
            hang(tree, node, at, is_right);
            return;
        }
        at = below;
    }
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    CHECK(node->is_in);
    *(node->previous != NULL ? &node->previous->next : &tree->first) = node->next;
    *(node->next != NULL ? &node->next->previous : &tree->last) = node->previous;
    while (node->left != NULL && node->right != NULL) {
        rotate_up(tree, node->left->priority > node->right->priority ? node->left : node->right);
    }
    struct tree_node *below = node->left != NULL ? node->left : node->right;
    *link_to(tree, node) = below;
    if (below != NULL) {
        below->parent = node->parent;
    }
    *node = (struct tree_node){0};
    tree->count--;
}

void tree_move(struct tree *tree, struct tree_node *node)
{
    if ((node->previous == NULL || tree->compare(node->previous, node) < 0) &&
        (node->next == NULL || tree->compare(node, node->next) < 0)) {
        return;
    }
    tree_remove(tree, node);
    tree_insert(tree, node);
}

static int compare_items(const void *x, const void *y, void *tree)
{
    return ((const struct tree *)tree)
        ->compare(*(struct tree_node *const *)x, *(struct tree_node *const *)y);
}

void tree_rebuild(struct tree *tree, struct tree_node **scratch,
                  void (*refresh)(void *ctx, struct tree_node *node), void *ctx)
{
    size_t count = 0;
    TREE_FOREACH(tree, node)
    {
        scratch[count++] = node;
    }
    tree->root = tree->first = tree->last = NULL;
    tree->count = 0;
    for (size_t i = 0; i < count; i++) {
        scratch[i]->is_in = false;
        refresh(ctx, scratch[i]);
    }
    if (count > 1)
        qsort_r(scratch, count, sizeof(scratch[0]), compare_items, tree);
    for (size_t i = 0; i < count; i++) {
        tree_insert(tree, scratch[i]);
    }
}
