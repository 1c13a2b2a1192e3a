/* JSON (RFC 8259) as base/minijson.py reads it, without an interpreter: nothing is built, texts are looked through. */

#define DEEPEST 500 /* objects and arrays within each other; config.py refuses more as well */

/* The character at `at`, which is UTF-8 (RFC 3629), and behind it; NULL for anything else, the end too. */
static const char *past_character(const char *at, uint32_t *found)
{
    static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *text = (const unsigned char *)at;
    int more = *text < 0x80 ? 0 : *text < 0xc0 ? -1 : *text < 0xe0 ? 1 : *text < 0xf0 ? 2 : *text < 0xf8 ? 3 : -1;
    if (more < 0 || !*text)
        return NULL;
    *found = more ? *text & (0x3f >> more) : *text;
    for (int i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return NULL;
        *found = *found << 6 | (text[i] & 0x3f);
    }
    if (*found < LEAST[more] || *found > 0x10ffff || (*found >= 0xd800 && *found < 0xe000))
        return NULL;
    return at + more + 1;
}

static const char *past_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The four hexadecimal digits of an escape; -1 when they are none. */
static int32_t hexadecimal(const char *at)
{
    int32_t found = 0;
    for (int i = 0; i < 4; i++) {
        const char *digit = at[i] ? strchr("0123456789abcdef", at[i] | 0x20) : NULL;
        if (!digit || (at[i] < '0') || (at[i] > '9' && at[i] < 'A'))
            return -1;
        found = found << 4 | (int32_t)(digit - "0123456789abcdef");
    }
    return found;
}

/* Adds a character in UTF-8, and a surrogate that stands for a byte as that byte (os.fsencode). `*room` is -1 once
 * something does not fit, or cannot stand in a path. */
static void add_character(uint32_t character, char **to, ssize_t *room)
{
    char bytes[4];
    int size = 0;
    if (character >= 0xdc80 && character < 0xdd00)
        bytes[size++] = (char)character;
    else if (!character || (character >= 0xd800 && character < 0xe000))
        *room = -1;
    else if (character < 0x80)
        bytes[size++] = (char)character;
    else {
        for (int shift = character < 0x800 ? 6 : character < 0x10000 ? 12 : 18; shift >= 0; shift -= 6)
            bytes[size++] = (char)(0x80 | (character >> shift & 0x3f));
        bytes[0] = (char)((0xf00 >> size & 0xf0) | (unsigned char)(bytes[0] & 0x3f));
    }
    if (*room < size)
        *room = -1;
    if (*room < 0)
        return;
    memcpy(*to, bytes, (size_t)size);
    *to += size;
    *room -= size;
}

/* Behind a string, or NULL. What it says goes to `out`, which is empty when that does not fit or holds a NUL. */
static const char *past_string(const char *at, char *out, size_t size)
{
    static const char SHORT[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    char *to = out;
    ssize_t room = out ? (ssize_t)size - 1 : -1;
    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        uint32_t character;
        const char *known;
        if ((unsigned char)*at < ' ' || !(at = past_character(at, &character)))
            return NULL;
        if (character == '\\' && *at == 'u') {
            int32_t half = hexadecimal(at + 1), other;
            if (half < 0)
                return NULL;
            at += 5;
            character = (uint32_t)half;
            if (half >= 0xd800 && half < 0xdc00 && at[0] == '\\' && at[1] == 'u' && (other = hexadecimal(at + 2)) >= 0xdc00 &&
                other < 0xe000) {
                character = 0x10000 + (((uint32_t)half & 0x3ff) << 10 | ((uint32_t)other & 0x3ff));
                at += 6;
            }
        } else if (character == '\\') {
            if (!*at || !(known = strchr(SHORT, *at)))
                return NULL;
            character = (unsigned char)MEANT[known - SHORT];
            at++;
        }
        add_character(character, &to, &room);
    }
    if (out)
        *(room < 0 ? out : to) = '\0';
    return at + 1;
}

static const char *past_digits(const char *at)
{
    size_t digits = at ? strspn(at, "0123456789") : 0;
    return digits ? at + digits : NULL;
}

static const char *past_number(const char *at)
{
    at += *at == '-';
    if (!(at = *at == '0' ? at + 1 : past_digits(at)))
        return NULL;
    if (*at == '.' && !(at = past_digits(at + 1)))
        return NULL;
    if (*at == 'e' || *at == 'E')
        at = past_digits(at + 1 + (at[1] == '+' || at[1] == '-'));
    return at;
}

static const char *past_value(const char *at, int depth)
{
    static const char *const WORDS[] = {"true", "false", "null"};
    char last = *at == '{' ? '}' : ']';
    if (*at == '"')
        return past_string(at, NULL, 0);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strncmp(at, WORDS[i], strlen(WORDS[i])) == 0)
            return at + strlen(WORDS[i]);
    if (*at != '{' && *at != '[')
        return past_number(at);
    if (depth >= DEEPEST)
        return NULL;
    if (*(at = past_space(at + 1)) == last)
        return at + 1;
    for (;; at = past_space(at + 1)) {
        if (last == '}') {
            if (!(at = past_string(at, NULL, 0)) || *(at = past_space(at)) != ':')
                return NULL;
            at = past_space(at + 1);
        }
        if (!(at = past_value(at, depth + 1)))
            return NULL;
        if (*(at = past_space(at)) != ',')
            return *at == last ? at + 1 : NULL;
    }
}

static int is_object(const char *text)
{
    const char *end = past_value(past_space(text), 0);
    return end && *past_space(text) == '{' && *past_space(end) == '\0';
}

/* The value of `key` in an object that is one, of several the last, NULL without; a string also goes to `out`. */
static const char *member(const char *object, const char *key, char *out, size_t size)
{
    const char *at = past_space(object), *found = NULL;
    char name[64];
    *out = '\0';
    for (at = past_space(at + 1); *at == '"'; at = past_space(at + 1)) {
        at = past_space(past_space(past_string(at, name, sizeof name)) + 1);
        if (strcmp(name, key) == 0) {
            found = at;
            *out = '\0';
            if (*at == '"')
                past_string(at, out, size);
        }
        if (*(at = past_space(past_value(at, 1))) != ',')
            break;
    }
    return found;
}

/* Writes `text` as a JSON string in ASCII to `out`, cut where it does not fit; what is no UTF-8 becomes U+FFFD. */
static char *add_string(char *out, const char *end, const char *text)
{
    *out++ = '"';
    while (*text && end - out > 16) {
        uint32_t character;
        const char *next = past_character(text, &character);
        if (!next) {
            next = text + 1;
            character = 0xfffd;
        }
        if (character == '"' || character == '\\')
            out += sprintf(out, "\\%c", (char)character);
        else if (character >= 0x10000)
            out += sprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (unsigned)(character >> 10), 0xdc00 + (unsigned)(character & 0x3ff));
        else if (character < ' ' || character > '~')
            out += sprintf(out, "\\u%04x", (unsigned)character);
        else
            *out++ = (char)character;
        text = next;
    }
    strcpy(out, "\"");
    return out + 1;
}
