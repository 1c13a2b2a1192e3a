/* What is said without an interpreter: lines on standard error, the error of the CNI specification, an entry in the
 * journal, a line in failures.jsonl. Everything is bounded, and nothing here waits.
 */

#define FAILURES "failures.jsonl"                     /* health.py's */
#define FAILURES_LIMIT (1 << 20)                      /* bytes; health.py's */
#define FAILURE_ID "6e72e5f6e31a4ffdb8091d26d7b0db51" /* journald.py's */
#define LATEST "1.1.0"                                /* protocol.py's */
#define INTERNAL 999                                  /* code of EniLedgerError, errors.py */

static const char *const JOURNAL[] = {"/run/systemd/journal/socket", "/var/run/systemd/journal/socket"}; /* journald.py's */
static const char *const VERSIONS[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};   /* protocol.py's */

/* What an entry says about the call: the variable, the journal's field, the event's key. */
static const struct {
    const char *variable, *field, *key;
} OF_THE_CALL[] = {{"CNI_CONTAINERID", "CONTAINER_ID", "container_id"}, {"CNI_IFNAME", "IFNAME", "ifname"},
                   {"CNI_NETNS", "NETNS", "netns"}};

/* Writes everything. A call that fails once is made again; 0 when it keeps failing. */
static int write_all(int fd, const char *data, size_t size)
{
    int failed = 0;
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EAGAIN) /* a pipe that is full and that the runtime made non-blocking */
            usleep(1000);
        else if (done < 0 && errno != EINTR && failed++)
            return 0;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
            failed = 0;
        }
    }
    return 1;
}

/* A line on standard error. Control characters become spaces. */
static void say(const char *what, const char *why)
{
    char line[1024];
    snprintf(line, sizeof line - 1, "eni-ledger: %s%s%s", what, *why ? ": " : "", why);
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    strcat(line, "\n");
    write_all(2, line, strlen(line));
}

/* The error of the CNI specification on standard output; `conf` is the network configuration, as far as it is known. */
static int answer_error(const char *conf, int code, const char *msg, const char *details)
{
    char text[4096], version[16] = "", *at = text;
    const char *said = LATEST, *end = text + sizeof text - 64;
    if (is_object(conf))
        member(conf, "cniVersion", version, sizeof version);
    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++)
        if (strcmp(version, VERSIONS[i]) == 0)
            said = VERSIONS[i];
    at += sprintf(at, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":", said, code);
    at = add_string(at, text + sizeof text / 2, msg);
    at += sprintf(at, ",\"details\":");
    at = add_string(at, end, details);
    strcpy(at, "}");
    return write_all(1, text, strlen(text));
}

/* Whether a value can stand in an entry as it is. */
static int is_plain(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    return size && size < 400;
}

/* An entry in the journal, as journald.py's send_failure writes it. Whether journald took it. */
static int tell_journal(const char *event, const char *message)
{
    char entry[4096];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size, taken = 0;
    snprintf(entry, 2048, "MESSAGE=%s", message);
    for (size = 0; entry[size]; size++)
        if ((unsigned char)entry[size] < ' ' || entry[size] == 0x7f)
            entry[size] = ' ';
    size += sprintf(entry + size, "\nPRIORITY=3\nSYSLOG_IDENTIFIER=eni-ledger\nSYSLOG_FACILITY=3\nMESSAGE_ID=" FAILURE_ID
                                  "\nERROR_CODE=%d\nEVENT=%s\n", INTERNAL, event);
    for (size_t i = 0; i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        if (is_plain(getenv(OF_THE_CALL[i].variable)))
            size += sprintf(entry + size, "%s=%s\n", OF_THE_CALL[i].field, getenv(OF_THE_CALL[i].variable));
    for (size_t i = 0; fd >= 0 && !taken && i < sizeof JOURNAL / sizeof *JOURNAL; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, JOURNAL[i]);
        taken = sendto(fd, entry, (size_t)size, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) >= 0;
    }
    if (fd >= 0)
        close(fd);
    return taken;
}

/* Whether only root and this user can write to what `fd` is. */
static int is_trusted(int fd, struct stat *found)
{
    return fstat(fd, found) == 0 && (found->st_uid == 0 || found->st_uid == geteuid()) && !(found->st_mode & 022);
}

/* Whether the file `name` begins with `text`. */
static int begins(int directory, const char *name, const char *text)
{
    char head[16];
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, head, strlen(text)) : -1;
    if (fd >= 0)
        close(fd);
    return size == (ssize_t)strlen(text) && memcmp(head, text, (size_t)size) == 0;
}

/* Whether a directory is one for a ledger: it holds one, or what is noted about one, or nothing. foreign.py knows more. */
static int is_for_a_ledger(int directory)
{
    if (begins(directory, "ledger.jsonl", "{\"ts\":\"") || begins(directory, FAILURES, "{\""))
        return 1;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), others = 0;
    DIR *listed = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *each; listed && !others && (each = readdir(listed));)
        others = strcmp(each->d_name, ".") != 0 && strcmp(each->d_name, "..") != 0;
    if (listed)
        closedir(listed);
    else if (fd >= 0)
        close(fd);
    return listed && !others;
}

/* A line in failures.jsonl of the state directory, if there is one: health.py's note_failure. Whether it is there. */
static int note_failure(const char *state, const char *event, const char *message)
{
    char line[4096], when[32], *at = line;
    const char *end = line + sizeof line - 512;
    struct timespec now;
    struct tm utc;
    struct stat found;
    int directory = open(state, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    at += sprintf(at, "{\"event\":\"%s\"", event);
    for (size_t i = 0; i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        if (is_plain(getenv(OF_THE_CALL[i].variable))) {
            at += sprintf(at, ",\"%s\":", OF_THE_CALL[i].key);
            at = add_string(at, end, getenv(OF_THE_CALL[i].variable));
        }
    at += sprintf(at, ",\"ts\":\"%s.%06ldZ\",\"code\":%d,\"msg\":", when, now.tv_nsec / 1000, INTERNAL);
    at = add_string(at, end, message);
    at += sprintf(at, "}\n");
    if (directory >= 0 && is_trusted(directory, &found) && is_for_a_ledger(directory))
        fd = openat(directory, FAILURES, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
    int noted = fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1 &&
                found.st_size < FAILURES_LIMIT && write_all(fd, line, (size_t)(at - line));
    if (fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    return noted;
}
