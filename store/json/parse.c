/*
 * Text to values, in one pass, into the caller's arena. A parser of our own and not jansson's: where
 * memory is out that one drops bytes of a string without a word, or writes past its end. The fuzzer
 * holds the two against each other.
 */
#include "base/hash.h"
#include "json/json.h"
#include "json/lex.h"

#include <ecshist/limits.h>
#include <stdlib.h>

/* -- members that stand twice ------------------------------------------------------------------ */

/* Of the object that is open: in few members one looks at all, in many by hash. */
struct names {
    size_t first;    /* its first member in what is pending */
    uint64_t met;    /* a bit for each look that a name has had */
    uint32_t *slots; /* number of a member + 1; 0: free. NULL: not in use yet */
    size_t slot_count;
};
enum { FEW_NAMES = 16 };

static struct ehi_slice pending_name(const struct json_reader *r, const struct names *names,
                                     size_t i)
{
    return r->pending.members[names->first + i].name;
}

/* Equal names look alike, others seldom do: most often there is nothing to compare. */
static inline uint64_t look_of(struct ehi_slice name)
{
    if (name.length == 0)
        return 1;
    return UINT64_C(1) << ((name.length * 7 + name.data[name.length - 1] * 3u + name.data[0]) & 63);
}

/* The slot of a name: where it is, or where it would be. */
static uint32_t *slot_of(const struct json_reader *r, const struct names *names,
                         struct ehi_slice name)
{
    size_t i = ehi_hash64(name.data, name.length, 0) & (names->slot_count - 1);
    while (names->slots[i] != 0 &&
           !ehi_slice_equal(pending_name(r, names, names->slots[i] - 1), name))
        i = (i + 1) & (names->slot_count - 1);
    return &names->slots[i];
}

static bool grow_slots(const struct json_reader *r, struct names *names, size_t count)
{
    size_t slot_count = names->slot_count == 0 ? 4 * FEW_NAMES : names->slot_count * 4;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL)
        return false;
    free(names->slots);
    names->slots = slots;
    names->slot_count = slot_count;
    for (size_t i = 0; i < count; i++)
        *slot_of(r, names, pending_name(r, names, i)) = (uint32_t)i + 1;
    return true;
}

/* Whether the name is new to the object that has `count` members. NO_MEMORY. */
static int note_name(const struct json_reader *r, struct names *names, struct ehi_slice name,
                     bool *is_new)
{
    size_t count = r->pending.count - names->first;
    *is_new = true;
    if (count < FEW_NAMES) {
        uint64_t look = look_of(name);
        bool met = (names->met & look) != 0;
        names->met |= look;
        for (size_t i = 0; met && i < count && *is_new; i++)
            *is_new = !ehi_slice_equal(pending_name(r, names, i), name);
        return ECSHIST_OK;
    }
    if (count * 2 >= names->slot_count && !grow_slots(r, names, count))
        return ehi_fail_memory(r->error);
    uint32_t *slot = slot_of(r, names, name);
    *is_new = *slot == 0;
    *slot = (uint32_t)count + 1;
    return ECSHIST_OK;
}

enum { SHOWN_NAME_BYTES = 100 };

/* The name as the text has it, from its quote at `start` to behind the closing one. */
static int fail_twice(const struct json_reader *r, size_t start)
{
    struct ehi_slice name = ehi_slice(r->text + start + 1, r->at - start - 2);
    if (name.length > SHOWN_NAME_BYTES) {
        name.length = SHOWN_NAME_BYTES;
        while (name.length > 0 && (name.data[name.length] & 0xc0) == 0x80)
            name.length--;
    }
    return ehi_json_fail(r, r->at, ECSHIST_INVALID, "member \"%.*s\" stands twice", EHI_FMT(name));
}

/* -- arrays and objects ------------------------------------------------------------------------ */

static int read_object(struct json_reader *r, struct ehi_value *out);
static int read_array(struct json_reader *r, struct ehi_value *out);

/* What is neither array nor object; c: its first character, -1 where the text ends. */
static inline int read_scalar(struct json_reader *r, int c, struct ehi_value *out)
{
    switch (c) {
    case '"':
        out->kind = EHI_VALUE_STRING;
        out->count = 0;
        return ehi_json_read_string(r, &out->u.string);
    case 't':
    case 'f':
    case 'n':
        return ehi_json_read_word(r, out);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return ehi_json_read_number(r, out);
        return ehi_json_fail_here(r, "not valid JSON: invalid token");
    }
}

static int grow_pending(struct json_reader *r)
{
    struct json_pending *p = &r->pending;
    size_t capacity = p->capacity * 2;
    struct ehi_member *members = realloc(p->owned ? p->members : NULL, capacity * sizeof(*members));
    if (members == NULL)
        return ehi_fail_memory(r->error);
    if (!p->owned)
        memcpy(members, p->members, p->count * sizeof(*members));
    *p = (struct json_pending){members, p->count, capacity, true};
    return ECSHIST_OK;
}

/*
 * Makes room for one more, which is filled where it lies: a struct that is copied right after its fields were written makes
 * the processor wait for them. What is read within it may move the list, so that it is named by its number from then on.
 */
static inline int make_room(struct json_reader *r)
{
    return r->pending.count < r->pending.capacity ? ECSHIST_OK : grow_pending(r);
}

/* The value of the last one in the list, at its first character. */
static int read_into_last(struct json_reader *r)
{
    size_t index = r->pending.count - 1;
    int c = r->at < r->length ? r->text[r->at] : -1;
    if (c != '{' && c != '[')
        return read_scalar(r, c, &r->pending.members[index].value);
    struct ehi_value value = {.kind = EHI_VALUE_NULL};
    int rc = c == '{' ? read_object(r, &value) : read_array(r, &value);
    r->pending.members[index].value = value;
    return rc;
}

/* At a bracket: goes behind it. */
static int open_bracket(struct json_reader *r)
{
    if (r->depth == ECSHIST_MAX_NESTING)
        return ehi_json_fail(r, r->at + 1, ECSHIST_LIMIT, "nesting deeper than %u",
                             ECSHIST_MAX_NESTING);
    r->depth++;
    r->at++;
    return ECSHIST_OK;
}

/* Behind an item or member: over a comma, or the closing bracket (*closed). */
static int pass_comma(struct json_reader *r, char bracket, bool *closed)
{
    int c = ehi_json_peek(r);
    *closed = c == bracket;
    if (c != ',' && c != bracket)
        return ehi_json_fail_here(r, bracket == ']' ? "not valid JSON: ']' expected"
                                                    : "not valid JSON: '}' expected");
    r->at++;
    return ECSHIST_OK;
}

static int read_items(struct json_reader *r)
{
    bool closed = ehi_json_peek(r) == ']';
    if (closed)
        r->at++;
    while (!closed) {
        (void)ehi_json_peek(r);
        int rc = make_room(r);
        if (rc != ECSHIST_OK)
            return rc;
        r->pending.count++;
        rc = read_into_last(r);
        if (rc == ECSHIST_OK)
            rc = pass_comma(r, ']', &closed);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int read_array(struct json_reader *r, struct ehi_value *out)
{
    size_t first = r->pending.count;
    int rc = open_bracket(r);
    if (rc == ECSHIST_OK)
        rc = read_items(r);
    if (rc != ECSHIST_OK)
        return rc;
    size_t count = r->pending.count - first;
    struct ehi_value *items = ehi_arena_alloc(r->arena, count * sizeof(*items));
    if (items == NULL)
        return ehi_fail_memory(r->error);
    for (size_t i = 0; i < count; i++)
        items[i] = r->pending.members[first + i].value;
    r->pending.count = first;
    r->depth--;
    *out = (struct ehi_value){.kind = EHI_VALUE_ARRAY, .count = (uint32_t)count, .u.items = items};
    return ECSHIST_OK;
}

static int read_name(struct json_reader *r, struct names *names, struct ehi_slice *name)
{
    bool is_new = true;
    if (ehi_json_peek(r) != '"')
        return ehi_json_fail_here(r, "not valid JSON: string or '}' expected");
    size_t start = r->at;
    int rc = ehi_json_read_string(r, name);
    if (rc == ECSHIST_OK)
        rc = note_name(r, names, *name, &is_new);
    if (rc == ECSHIST_OK && !is_new)
        rc = fail_twice(r, start);
    return rc;
}

static int read_member(struct json_reader *r, struct names *names)
{
    int rc = make_room(r);
    if (rc == ECSHIST_OK)
        rc = read_name(r, names, &r->pending.members[r->pending.count].name);
    if (rc != ECSHIST_OK)
        return rc;
    if (ehi_json_peek(r) != ':')
        return ehi_json_fail_here(r, "not valid JSON: ':' expected");
    r->at++;
    (void)ehi_json_peek(r);
    r->pending.count++;
    return read_into_last(r);
}

static int read_members(struct json_reader *r, struct names *names)
{
    bool closed = ehi_json_peek(r) == '}';
    if (closed)
        r->at++;
    while (!closed) {
        int rc = read_member(r, names);
        if (rc == ECSHIST_OK)
            rc = pass_comma(r, '}', &closed);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int read_object(struct json_reader *r, struct ehi_value *out)
{
    struct names names = {.first = r->pending.count};
    int rc = open_bracket(r);
    if (rc == ECSHIST_OK)
        rc = read_members(r, &names);
    free(names.slots);
    if (rc != ECSHIST_OK)
        return rc;
    size_t count = r->pending.count - names.first;
    struct ehi_member *members = ehi_arena_alloc(r->arena, count * sizeof(*members));
    if (members == NULL)
        return ehi_fail_memory(r->error);
    if (count != 0)
        memcpy(members, r->pending.members + names.first, count * sizeof(*members));
    r->pending.count = names.first;
    r->depth--;
    *out =
        (struct ehi_value){.kind = EHI_VALUE_MAP, .count = (uint32_t)count, .u.members = members};
    return ECSHIST_OK;
}

static int read_text(struct json_reader *r, struct ehi_value *out)
{
    int c = ehi_json_peek(r);
    if (c == -1)
        return ehi_fail(r->error, ECSHIST_INVALID, "empty line");
    if (c != '{')
        return ehi_json_fail(r, r->at + 1, ECSHIST_INVALID, "not a JSON object");
    int rc = read_object(r, out);
    if (rc == ECSHIST_OK && ehi_json_peek(r) != -1)
        rc = ehi_json_fail_here(r, "something stands behind the JSON object");
    return rc;
}

enum { FIRST_MEMBERS = 64 }; /* on the stack: more of them need memory */

int ehi_json_parse(const char *text, size_t length, struct ehi_arena *arena, struct ehi_value *out,
                   struct ecshist_error *error)
{
    if (length > ECSHIST_MAX_JSON_BYTES)
        return ehi_fail(error, ECSHIST_LIMIT, "a JSON text longer than %u bytes",
                        ECSHIST_MAX_JSON_BYTES);
    struct ehi_member first[FIRST_MEMBERS];
    struct json_reader r = {.text = (const uint8_t *)text,
                            .length = length,
                            .arena = arena,
                            .pending = {first, 0, FIRST_MEMBERS, false},
                            .error = error};
    struct ehi_value value;
    int rc = read_text(&r, &value);
    if (r.pending.owned)
        free(r.pending.members);
    if (rc == ECSHIST_OK)
        *out = value;
    return rc;
}
