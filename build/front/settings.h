/* The configuration file, as far as it matters before and without an interpreter; what it means is config.py's.
 *
 * It names the program that root runs, so it is used only where nobody else can have written it: the file and the
 * directory that holds it belong to root or to this user, group and others cannot write to them, and the file is no link.
 */

#define CONFIG_LIMIT (64 * 1024)                   /* bytes of the file; config.py's CONFIG_FILE_LIMIT */
#define PLUGIN_DIRECTORY "/amazon-ecs-cni-plugins" /* config.py's AGENT_PLUGIN_DIR */
#define CONFIG_FILE "/etc/eni-ledger/config.json"  /* config.py's CONFIG_FILE */
#define STATE_DIRECTORY "/var/lib/eni-ledger"      /* config.py's DEFAULT_STATE_DIR */

/* The delegate's answer, and before there is one the text of the file. */
static char first_answer[CONFIG_LIMIT + 2];
static struct bytes answer = {first_answer, 0, sizeof first_answer, 0};

/* As in config.py's Settings; `must_record` is onError "fail". */
static struct {
    char delegates[PATH_MAX - NAME_MAX], state[PATH_MAX];
    int must_record, journald;
} settings = {.delegates = PLUGIN_DIRECTORY, .state = STATE_DIRECTORY, .journald = 1};

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Opens the file at `path`, an absolute one; config.py's _open is the same. -1 with errno, EPERM if it is not trusted. */
static int open_trusted(const char *path)
{
    char parent[PATH_MAX];
    struct stat found;
    if (strlen(path) >= sizeof parent) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(parent, path);
    parent[name_of(path) - path] = '\0';
    int directory = open(*parent ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
    if (directory < 0)
        return -1;
    /* With the sticky bit nobody but its owner can replace a file. */
    int trusted = fstat(directory, &found) == 0 && (found.st_uid == 0 || found.st_uid == geteuid()) &&
                  (!(found.st_mode & 022) || found.st_mode & S_ISVTX);
    fd = openat(directory, name_of(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int error = errno;
    close(directory);
    errno = error;
    if (fd >= 0 && (!trusted || !is_trusted(fd, &found) || !S_ISREG(found.st_mode))) {
        close(fd);
        fd = -1;
        errno = EPERM;
    }
    return fd;
}

/* Reads a configuration file into `text`. 0 when there is none, -1 when there is one that cannot be used. */
static int read_config(const char *path, char *text)
{
    int fd = open_trusted(path);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    ssize_t length = read(fd, text, CONFIG_LIMIT + 1);
    close(fd);
    if (length < 0 || length > CONFIG_LIMIT || memchr(text, 0, (size_t)length))
        return -1;
    text[length] = '\0';
    return is_object(text) ? 1 : -1;
}

/* The configuration file beside the plugin directory that we were called from: interposed.py's _config_beside. */
static void find_beside(const char *called, char *beside)
{
    char directory[PATH_MAX];
    *beside = '\0';
    if (!strchr(called, '/') || strlen(called) >= sizeof directory)
        return;
    strcpy(directory, called);
    directory[name_of(called) - called] = '\0';
    if (*called != '/' && !realpath(directory, beside))
        *beside = '\0';
    else if (*called == '/') {
        strcpy(beside, directory);
        beside[strlen(beside) - 1] = '\0';
    }
    char *slash = strrchr(beside, '/');
    if (slash ? slash - beside + sizeof "/config.json" > PATH_MAX : *called != '/')
        *beside = '\0';
    else
        strcpy(slash ? slash : beside, "/config.json");
}

static void take_path(const char *said, char *to, size_t size)
{
    if (*said == '/' && strlen(said) < size)
        strcpy(to, said);
}

/* Fills in `settings` for a program called as `called`. */
static void read_settings(const char *called)
{
    char *text = first_answer;
    char beside[PATH_MAX], said[PATH_MAX];
    const char *named = getenv("ENI_LEDGER_CONFIG"), *state = getenv("ENI_LEDGER_STATE_DIR"), *value;
    int found = 0;
    find_beside(called, beside);
    if (named && *named)
        found = read_config(named, text);
    else {
        if (*beside)
            found = read_config(beside, text);
        if (*beside && found) {
            strcpy(settings.state, beside);
            strcpy(settings.state + (name_of(beside) - beside), "state");
        } else
            found = read_config(CONFIG_FILE, text);
    }
    if (found > 0) {
        member(text, "delegateDir", said, sizeof said);
        take_path(said, settings.delegates, sizeof settings.delegates);
        member(text, "stateDir", said, sizeof said);
        take_path(said, settings.state, sizeof settings.state);
        member(text, "onError", said, sizeof said);
        settings.must_record = strcmp(said, "fail") == 0;
        value = member(text, "journald", said, sizeof said);
        settings.journald = !value || strncmp(value, "false", 5) != 0;
    }
    if (state && *state)
        take_path(state, settings.state, sizeof settings.state);
}
