/* Answers as they are given out. Shared by query.c and the files of answers only. */
#ifndef EHI_API_RESULT_H
#define EHI_API_RESULT_H

#include "api/internal.h"
#include "view/view.h"

/*
 * A result that was freed is kept for the next question of its snapshot, its memory too: asking again and again allocates
 * nothing. A result may outlive its snapshot and may be freed by any thread, so the place where it is kept is
 * counted, and one atomic word.
 */
struct api_shelf;
struct api_shelf *api_shelf_new(void);
/* An empty result; NULL where memory is out. One thread at a time; any may free results meanwhile. */
struct ecshist_result *api_shelf_take(struct api_shelf *shelf);
/* No more is taken; NULL is allowed. */
void api_shelf_close(struct api_shelf *shelf);

struct ecshist_result {
    struct api_shelf *shelf;
    struct ehi_arena arena;
    struct ehi_answer answer;
    /* What is given out is made with the answer: a result never changes, so any thread may read it.
     */
    struct ecshist_event *events;              /* of a timeline */
    struct ecshist_revision_summary **sources; /* of each deployment */
    struct ecshist_service_view *services;
};

/* Makes what the answer gives out. */
int api_result_fill(struct ecshist_result *made, struct ecshist_error *error) ECSHIST_CHECKED;

#endif
