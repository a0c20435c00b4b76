/* The shapes of the ECS API (version 2014-11-13): the order of members, and which of them are
 * timestamps. */
#ifndef EHI_MODEL_SHAPES_H
#define EHI_MODEL_SHAPES_H

#include "base/arena.h"
#include "model/value.h"

enum ehi_shape {
    EHI_SHAPE_SERVICE_DEPLOYMENT = 1,
    EHI_SHAPE_SERVICE_REVISION,
    EHI_SHAPE_DEPLOYMENT_CONFIGURATION
};

/*
 * Puts the members of a value, and of all within it, into the order of the shape, members the shape
 * does not know behind them as they came; turns timestamps (text or seconds that parse) into
 * EHI_VALUE_TIME. Lists are rearranged in place. ECSHIST_NO_MEMORY only.
 */
int ehi_shape_apply(enum ehi_shape shape, struct ehi_value *value, struct ehi_arena *arena)
    ECSHIST_CHECKED;

/*
 * Where a shape has a member, from 0, and the shape within that (0: none); -1: it has none of that name, or a timestamp. For
 * those who write what is in order already.
 */
int ehi_shape_place(unsigned shape, struct ehi_slice name, unsigned *within);

#endif
