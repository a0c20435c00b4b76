/*
 * A value as JSON has it: the neutral form between json/ and codec/. Lives in an arena; strings are
 * UTF-8 without NUL. Members keep the order they came in.
 */
#ifndef EHI_MODEL_VALUE_H
#define EHI_MODEL_VALUE_H

#include "base/bytes.h"

enum ehi_value_kind {
    EHI_VALUE_NULL,
    EHI_VALUE_BOOL,
    EHI_VALUE_INT,
    EHI_VALUE_DOUBLE,
    EHI_VALUE_STRING,
    EHI_VALUE_ARRAY,
    EHI_VALUE_MAP,
    EHI_VALUE_TIME /* u.integer: microseconds since the epoch; made for output only, never stored */
};

struct ehi_value {
    enum ehi_value_kind kind;
    uint32_t count; /* of items or members */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct ehi_slice string;
        struct ehi_value *items;
        struct ehi_member *members;
    } u;
};

struct ehi_member {
    struct ehi_slice name;
    struct ehi_value value;
};

/* The member of a map, NULL where there is none (or `map` is no map). */
const struct ehi_value *ehi_value_member(const struct ehi_value *map, const char *name);

#endif
