/* The front door's own bootloader: the interpreter, our modules and a few calls of the kernel's in one executable.
 *
 * PyInstaller's executes itself a second time (for LD_LIBRARY_PATH), loads a libpython that has 50,000 addresses to
 * relocate, and has the interpreter look for its codecs in directories; that was half of what an ADD cost. Here libpython
 * is linked in, from Debian's static archive, and only its first phase of initialisation is run ("core": builtins, sys and
 * the import of what is frozen or built in; docs.python.org, "Multi-Phase Initialization Private Provisional API").
 * What the second phase adds (path configuration, importers for files, codecs, text streams), no call needs;
 * front_door.py makes up for the little that it does.
 *
 * early.h starts the delegate of an interposed call before all this. front_modules.h is closure.py's: FROZEN_MODULES, the
 * modules as marshalled code, and BUILT_IN, the C modules of the interpreter that they import.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front_modules.h"

#define CANNOT_RUN 127
#define COMMANDS "/eni-ledger-cli" /* front.py's CLI */

/* --- eni_ledger.plugin.process: see process.py, which is the same in Python --------------------------------------- */

/* The bytes of a sequence of str, as the kernel takes them: an array that ends with NULL. The objects that own the
 * bytes go into `owner`. NULL with an exception set. */
static char **strings(PyObject *sequence, PyObject *owner)
{
    Py_ssize_t count = PySequence_Size(sequence);
    if (count < 0)
        return NULL;
    char **found = PyMem_Calloc(count + 1, sizeof *found);
    if (!found)
        return (char **)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_GetItem(sequence, i), *bytes = NULL;
        if (!item || !PyUnicode_FSConverter(item, &bytes) || PyList_Append(owner, bytes) < 0) {
            Py_XDECREF(item);
            Py_XDECREF(bytes);
            PyMem_Free(found);
            return NULL;
        }
        found[i] = PyBytes_AS_STRING(bytes);
        Py_DECREF(item);
        Py_DECREF(bytes); /* `owner` has it */
    }
    return found;
}

/* A mapping of str to str as a list of "key=value". */
static PyObject *assignments(PyObject *environment)
{
    PyObject *items = PyMapping_Items(environment), *found = items ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; found && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        PyObject *text = PyUnicode_FromFormat("%U=%U", PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
        if (!text || PyList_Append(found, text) < 0)
            Py_CLEAR(found);
        Py_XDECREF(text);
    }
    Py_XDECREF(items);
    return found;
}

static void disposition(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

/* SIGCHLD and those of `numbers`, a sequence, that are not ignored, as a list and as a set. */
static PyObject *awaited(PyObject *numbers, sigset_t *set)
{
    PyObject *found = Py_BuildValue("[i]", SIGCHLD);
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (Py_ssize_t i = 0; found && i < PySequence_Size(numbers); i++) {
        PyObject *item = PySequence_GetItem(numbers, i);
        struct sigaction now;
        if (!item || sigaction((int)PyLong_AsLong(item), NULL, &now) < 0 ||
            (now.sa_handler != SIG_IGN && PyList_Append(found, item) < 0))
            Py_CLEAR(found);
        else if (now.sa_handler != SIG_IGN)
            sigaddset(set, (int)PyLong_AsLong(item));
        Py_XDECREF(item);
    }
    if (!found && !PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
    return found;
}

/* The child of vfork runs in our memory until it has executed the delegate, while we wait: system calls only. */
static pid_t start(const char *path, char **arguments, char **environment, int in, int out, const sigset_t *block,
                   volatile int *failed)
{
    sigset_t mask;
    struct sigaction children, by_default = {.sa_handler = SIG_DFL};
    sigprocmask(SIG_BLOCK, block, &mask);
    sigaction(SIGCHLD, &by_default, &children);
    pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* we died before it could be told */
            _exit(CANNOT_RUN);
        disposition(SIGPIPE, SIG_DFL);
        disposition(SIGXFSZ, SIG_DFL);
        sigaction(SIGCHLD, &children, NULL);
        if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && sigprocmask(SIG_SETMASK, &mask, NULL) == 0)
            execve(path, arguments, environment);
        *failed = errno;
        _exit(CANNOT_RUN);
    }
    if (pid < 0) {
        int error = errno;
        sigaction(SIGCHLD, &children, NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        errno = error;
    }
    return pid;
}

#include "early.h"

static PyObject *process_spawn(PyObject *self, PyObject *call)
{
    PyObject *path, *arguments, *environment, *forwarded;
    int in, out;
    if (!PyArg_ParseTuple(call, "O&OOiiO", PyUnicode_FSConverter, &path, &arguments, &environment, &in, &out, &forwarded))
        return NULL;
    sigset_t block;
    PyObject *owner = PyList_New(0), *pairs = assignments(environment), *numbers = awaited(forwarded, &block);
    char **argv = owner && pairs ? strings(arguments, owner) : NULL, **envp = argv ? strings(pairs, owner) : NULL;
    PyObject *result = NULL;
    if (envp && numbers) {
        volatile int failed = 0;
        pid_t pid = start(PyBytes_AS_STRING(path), argv, envp, in, out, &block, &failed);
        if (pid < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
        } else {
            if (failed)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                    ;
            result = Py_BuildValue("(iiO)", (int)pid, failed, numbers);
        }
    }
    PyMem_Free(argv);
    PyMem_Free(envp);
    Py_XDECREF(numbers);
    Py_XDECREF(pairs);
    Py_XDECREF(owner);
    Py_DECREF(path);
    return result;
}

static PyObject *process_without_handlers(PyObject *self, PyObject *nothing)
{
    Py_RETURN_NONE; /* none was installed */
}

static PyObject *process_as_it_was(PyObject *self, PyObject *nothing)
{
    disposition(SIGPIPE, SIG_DFL);
    disposition(SIGXFSZ, SIG_DFL);
    Py_RETURN_NONE;
}

static PyObject *process_undumpable(PyObject *self, PyObject *nothing)
{
    prctl(PR_SET_DUMPABLE, 0);
    Py_RETURN_NONE;
}

static PyObject *process_setns(PyObject *self, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (setns(number, CLONE_NEWNET) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef process_functions[] = {
    {"early", process_early, METH_NOARGS, NULL},
    {"spawn", process_spawn, METH_VARARGS, NULL},
    {"as_it_was", process_as_it_was, METH_NOARGS, NULL},
    {"without_handlers", process_without_handlers, METH_NOARGS, NULL},
    {"undumpable", process_undumpable, METH_NOARGS, NULL},
    {"setns", process_setns, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef process_module = {PyModuleDef_HEAD_INIT, .m_name = PROCESS, .m_methods = process_functions};

static PyObject *PyInit_process(void)
{
    return PyModuleDef_Init(&process_module);
}

/* --- the interpreter ----------------------------------------------------------------------------------------------- */

/* In the place of the table that libpython would link all of its C modules by (Modules/config.c). The first are those
 * that the interpreter itself imports. */
extern PyObject *PyInit__imp(void), *PyInit__thread(void), *PyInit__weakref(void), *PyInit_posix(void),
    *PyInit__io(void), *PyInit__abc(void), *PyInit__codecs(void), *PyInit__signal(void), *PyInit__stat(void),
    *PyInit_time(void), *PyInit_itertools(void), *PyInit_atexit(void), *PyInit_faulthandler(void),
    *PyInit__tracemalloc(void), *PyInit_gc(void), *PyMarshal_Init(void), *_PyWarnings_Init(void);
struct _inittab _PyImport_Inittab[] = {
    {"builtins", NULL},
    {"sys", NULL},
    {"_imp", PyInit__imp},
    {"_thread", PyInit__thread},
    {"_warnings", _PyWarnings_Init},
    {"_weakref", PyInit__weakref},
    {"marshal", PyMarshal_Init},
    {"gc", PyInit_gc},
    {"posix", PyInit_posix},
    {"_io", PyInit__io},
    {"_abc", PyInit__abc},
    {"_codecs", PyInit__codecs},
    {"_signal", PyInit__signal},
    {"_stat", PyInit__stat},
    {"time", PyInit_time},
    {"itertools", PyInit_itertools},
    {"atexit", PyInit_atexit},
    {"faulthandler", PyInit_faulthandler},
    {"_tracemalloc", PyInit__tracemalloc},
    {PROCESS, PyInit_process},
    BUILT_IN
    {NULL, NULL},
};

/* Part of the second phase, and without it `_signal` is not ready. No handlers are installed: 0. */
extern int _PySignal_Init(int install_signal_handlers);

static void say(const char *what, const char *why)
{
    char line[512];
    int length = snprintf(line, sizeof line, "eni-ledger: %s: %s\n", what, why);
    if (write(2, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1) < 0)
        return; /* nobody listens */
}

static PyStatus configure(void)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        return status;
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config._init_main = 0;
    config.site_import = 0;
    config.parse_argv = 0;
    config.write_bytecode = 0;
    config.module_search_paths_set = 1; /* and there are none */
    config.optimization_level = 2;
    PyImport_FrozenModules = FROZEN_MODULES;
    status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return status;
}

/* A page fault costs more than what it is for, the more so in a virtual machine, and the interpreter writes to nearly
 * every page of its data (reference counts): they are asked for at once, a tenth of a start. Before Linux 5.14 the kernel
 * does not know how, and nothing happens. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
static void populate_data(void)
{
    extern char __data_start[], _edata[];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)__data_start & -page;
    madvise((void *)start, (uintptr_t)_edata - start, MADV_POPULATE_WRITE);
}

/* sys.argv and sys.executable. */
static int tell_sys(int argc, char **argv)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    PyObject *program = PyUnicode_DecodeUTF8(path, length < 0 ? 0 : length, "surrogateescape"), *words = PyList_New(argc);
    for (int i = 0; words && i < argc; i++) {
        PyObject *word = PyUnicode_DecodeUTF8(argv[i], (Py_ssize_t)strlen(argv[i]), "surrogateescape");
        if (!word)
            return -1;
        PyList_SET_ITEM(words, i, word);
    }
    if (!program || !words || PySys_SetObject("executable", program) < 0 || PySys_SetObject("argv", words) < 0)
        return -1;
    Py_DECREF(program);
    Py_DECREF(words);
    return 0;
}

/* Nothing of the CNI in the environment and our own name: a command, as a rule one that a person waits for. It need not
 * wait for an interpreter that would only find this out. Whatever else there is, and whatever fails, is front.py's; so
 * are `list` and `who`, which may be plain questions (cli/plain.py). */
static void hand_over(int argc, char **argv)
{
    if (argc < 1 || strcmp(name_of(argv[0]), "eni-ledger") != 0)
        return;
    for (int i = 1; i < argc && i < 4; i++)
        if (strcmp(argv[i], "who") == 0 || strcmp(argv[i], "list") == 0)
            return;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "CNI_", 4) == 0)
            return;
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof COMMANDS);
    char *end = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (!end)
        return;
    strcpy(end, COMMANDS);
    char *typed = argv[0];
    argv[0] = path;
    execv(path, argv);
    argv[0] = typed;
}

/* front_door.py ends the process. To come back from it means that it could not begin. */
int main(int argc, char **argv)
{
    hand_over(argc, argv);
    /* As in any Python: a runtime that is gone, a limit on file sizes, show as errors of the write. */
    disposition(SIGPIPE, SIG_IGN);
    disposition(SIGXFSZ, SIG_IGN);
    start_early(argc, argv);
    populate_data();
    PyStatus status = configure();
    if (PyStatus_Exception(status)) {
        say("the interpreter does not start", status.err_msg ? status.err_msg : "no reason given");
        stand_in();
        _exit(1);
    }
    if (_PySignal_Init(0) < 0 || tell_sys(argc, argv) < 0 || PyImport_ImportFrozenModule("front_door") <= 0) {
        PyObject *kind, *value, *trace;
        PyErr_Fetch(&kind, &value, &trace);
        PyObject *text = value ? PyObject_Str(value) : NULL;
        const char *why = text ? PyUnicode_AsUTF8(text) : NULL;
        say("the installation is damaged", why ? why : "no reason given");
    }
    stand_in();
    _exit(1);
}
