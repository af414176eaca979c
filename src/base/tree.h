// SPDX-License-Identifier: Apache-2.0
//
// Intrusive ordered trees: members embed a `struct tree_node`, and an order is given when the tree
// is made. Adding, removing and moving cost the logarithm of the count, at either end nothing that
// grows; the first and the last are at hand.
//
// It is a treap: each node draws a priority, and stands above those with lower ones. Priorities
// come from a generator in the tree, so that a simulated run is the same each time. Neighbours in
// the order are linked, too: a walk looks at no node but those that it comes to.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *left;
    struct tree_node *right;
    struct tree_node *parent;
    struct tree_node *next; // in the order; NULL: it is the last
    struct tree_node *previous;
    uint32_t priority;
    bool is_in; // in a tree
};

// Negative when `x` goes before `y`. Two members are never equal.
typedef int tree_compare_fn(const struct tree_node *x, const struct tree_node *y);

struct tree {
    struct tree_node *root;
    struct tree_node *first;
    struct tree_node *last;
    uint32_t count;
    uint32_t seed;
    tree_compare_fn *compare;
};

#define TREE_INIT(order) ((struct tree){.seed = UINT32_C(0x9e3779b9), .compare = (order)})

void tree_insert(struct tree *tree, struct tree_node *node); // not in a tree
void tree_remove(struct tree *tree, struct tree_node *node);
// To where it belongs now, after what it is compared by has changed.
void tree_move(struct tree *tree, struct tree_node *node);
// Puts all in order anew, after `refresh` changed what they are compared by. `scratch` has room for
// all.
void tree_rebuild(struct tree *tree, struct tree_node **scratch,
                  void (*refresh)(void *ctx, struct tree_node *node), void *ctx);

// Walks in order; nothing may be added, removed or moved meanwhile.
#define TREE_FOREACH(tree, node)                                                                   \
    for (struct tree_node *node = (tree)->first; node != NULL; node = node->next)
