// SPDX-License-Identifier: Apache-2.0
//
// What a framework was offered of late.

#include "allocator/state.h"
#include "base/mem.h"

static void note_free(struct alloc_note *note)
{
    intern_drop(note->role);
    mem_free(note->agent_id);
    resources_free(note->resources);
}

void framework_note_offer(struct allocator *a, struct alloc_member *member,
                          const struct alloc_agent *agent, const struct resources *offer)
{
    struct alloc_framework *framework = member->framework;
    if (framework->notes == NULL) {
        framework->notes = mem_calloc(NOTES_KEPT, sizeof(framework->notes[0]));
    }
    struct alloc_note *note = &framework->notes[framework->offer_count++ % NOTES_KEPT];
    note_free(note);
    *note = (struct alloc_note){.role = intern_hold(member->role->name),
                                .agent_id = mem_strdup(agent->id),
                                .wall_ns = a->now.wall,
                                .resources = resources_copy(offer)};
}

void framework_free_notes(struct alloc_framework *framework)
{
    for (size_t i = 0; framework->notes != NULL && i < NOTES_KEPT; i++) {
        note_free(&framework->notes[i]);
    }
    mem_free(framework->notes);
}
