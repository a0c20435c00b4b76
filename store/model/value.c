#include "model/value.h"

const struct ehi_value *ehi_value_member(const struct ehi_value *map, const char *name)
{
    if (map->kind != EHI_VALUE_MAP)
        return NULL;
    struct ehi_slice wanted = ehi_slice_text(name);
    for (uint32_t i = 0; i < map->count; i++) {
        if (ehi_slice_equal(map->u.members[i].name, wanted))
            return &map->u.members[i].value;
    }
    return NULL;
}
