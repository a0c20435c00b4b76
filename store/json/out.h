/* JSON text written member by member, for answers whose members are known beforehand: no value is made of them. */
#ifndef EHI_JSON_OUT_H
#define EHI_JSON_OUT_H

#include "json/json.h"

/* What failed is remembered, and asked for once at the end. */
struct ehi_json_out {
    struct ehi_buffer *text;
    struct ehi_json_style style;
    unsigned level;
    bool first; /* nothing stands in the list or map yet */
    bool failed;
};

/* Each appends one value. NO_MEMORY. */
int ehi_json_put_string(struct ehi_buffer *out, struct ehi_slice text) ECSHIST_CHECKED;
int ehi_json_put_integer(struct ehi_buffer *out, int64_t number) ECSHIST_CHECKED;
int ehi_json_put_real(struct ehi_buffer *out, double number) ECSHIST_CHECKED;
int ehi_json_put_time(struct ehi_buffer *out, int64_t time_us, bool iso) ECSHIST_CHECKED;

/* A line of its own, where the style has such: the comma before it, too. */
void ehi_json_break(struct ehi_json_out *o);

static inline void ehi_json_raw(struct ehi_json_out *o, const void *bytes, size_t length)
{
    uint8_t *at = ehi_buffer_room(o->text, length);
    if (at == NULL) {
        o->failed = true;
        return;
    }
    memcpy(at, bytes, length);
    o->text->length += length;
}

/* What stands before an item or a member. */
static inline void ehi_json_next(struct ehi_json_out *o)
{
    if (o->style.indent != 0)
        ehi_json_break(o);
    else if (!o->first)
        ehi_json_raw(o, ", ", 2);
    o->first = false;
}

/* The name of the next member, as it stands in the text: with its quotes and its colon. */
#define EHI_JSON_NAME(o, name)                                                                     \
    (ehi_json_next(o), ehi_json_raw(o, "\"" name "\": ", sizeof("\"" name "\": ") - 1))

static inline void ehi_json_open(struct ehi_json_out *o, char bracket)
{
    ehi_json_raw(o, &bracket, 1);
    o->level++;
    o->first = true;
}

static inline void ehi_json_close(struct ehi_json_out *o, char bracket)
{
    o->level--;
    if (o->style.indent != 0 && !o->first) {
        o->first = true; /* no comma */
        ehi_json_break(o);
    }
    ehi_json_raw(o, &bracket, 1);
    o->first = false;
}

static inline void ehi_json_text(struct ehi_json_out *o, struct ehi_slice text)
{
    o->failed |= ehi_json_put_string(o->text, text) != 0;
}

/* A text that needs no escapes: an ARN that was parsed, a name of ours. */
static inline void ehi_json_text_plain(struct ehi_json_out *o, struct ehi_slice text)
{
    uint8_t *at = ehi_buffer_room(o->text, text.length + 2);
    if (at == NULL) {
        o->failed = true;
        return;
    }
    at[0] = '"';
    if (text.length != 0)
        memcpy(at + 1, text.data, text.length);
    at[text.length + 1] = '"';
    o->text->length += text.length + 2;
}

static inline void ehi_json_integer(struct ehi_json_out *o, int64_t number)
{
    if (number < 0 || number >= 10) {
        o->failed |= ehi_json_put_integer(o->text, number) != 0;
        return;
    }
    uint8_t digit = (uint8_t)('0' + number);
    ehi_json_raw(o, &digit, 1);
}

static inline void ehi_json_real(struct ehi_json_out *o, double number)
{
    o->failed |= ehi_json_put_real(o->text, number) != 0;
}

static inline void ehi_json_time(struct ehi_json_out *o, int64_t time_us)
{
    o->failed |= ehi_json_put_time(o->text, time_us, o->style.iso_times) != 0;
}

/* A value made otherwise, as it stands at this level. */
static inline void ehi_json_value(struct ehi_json_out *o, const struct ehi_value *value)
{
    struct ehi_json_style style = o->style;
    style.level = o->level;
    o->failed |= ehi_json_write(value, &style, o->text) != 0;
}

#endif
