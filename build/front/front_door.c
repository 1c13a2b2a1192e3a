/* The front door's own bootloader: the interpreter, our modules and a few calls of the kernel's in one executable.
 *
 * PyInstaller's executes itself a second time (for LD_LIBRARY_PATH), loads a libpython that has 50,000 addresses to
 * relocate, and has the interpreter look for its codecs in directories; that was half of what an ADD cost. Here libpython
 * is linked in, from Debian's static archive, and only its first phase of initialisation is run ("core": builtins, sys and
 * the import of what is frozen or built in; docs.python.org, "Multi-Phase Initialization Private Provisional API").
 * What the second phase adds (path configuration, importers for files, codecs, text streams), no call needs;
 * front_door.py makes up for the little that it does.
 *
 * early.h starts the delegate of an interposed call before all this; supervise.h hands its answer on, whatever becomes of the
 * interpreter, which then runs in another process. front_modules.h is closure.py's: FROZEN_MODULES, the modules as
 * marshalled code, and BUILT_IN, the C modules of the interpreter that they import.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "front_modules.h"

#define CANNOT_RUN 127
#define STDIN_LIMIT (1 << 20)      /* bytes; protocol.py's */
#define COMMANDS "/eni-ledger-cli" /* front.py's CLI */

/* Each uses what stands before it. */
#include "json.h"
#include "kept.h"
#include "words.h"
#include "settings.h"
#include "early.h"
#include "supervise.h"

/* --- eni_ledger.plugin.process: see process.py --------------------------------------------------------------------- */

/* (what standard input gave or None, the errno of why there is no delegate, whether there is one). */
static PyObject *process_early(PyObject *self, PyObject *nothing)
{
    return Py_BuildValue("(y#ii)", early.given ? input.at : NULL, (Py_ssize_t)input.size, early.failed, early.pid != 0);
}

/* Reads `size` bytes of what the supervisor says. When it is gone there is no delegate any more, and nothing to record. */
static void hear(char *to, size_t size)
{
    while (size) {
        ssize_t done = read(0, to, size);
        if (done == 0 || (done < 0 && errno != EINTR))
            _exit(1);
        if (done > 0) {
            to += done;
            size -= (size_t)done;
        }
    }
}

static PyObject *process_wait(PyObject *self, PyObject *nothing)
{
    struct ended ended;
    hear((char *)&ended, sizeof ended);
    PyObject *text = PyBytes_FromStringAndSize(NULL, ended.size);
    if (!text)
        return NULL;
    hear(PyBytes_AS_STRING(text), ended.size);
    return Py_BuildValue("(iNd)", (int)ended.status, text, (double)ended.took_ns / 1e6);
}

static PyObject *process_has_ended(PyObject *self, PyObject *milliseconds)
{
    struct pollfd control = {.fd = 0, .events = POLLIN};
    int longest = (int)PyLong_AsLong(milliseconds);
    if (longest == -1 && PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(poll(&control, 1, longest) > 0);
}

static PyObject *process_forward_answer(PyObject *self, PyObject *nothing)
{
    char word = HAND_ON;
    write_all(1, &word, 1);
    Py_RETURN_NONE;
}

static PyObject *process_is_marked(PyObject *self, PyObject *nothing)
{
    return PyBool_FromLong(is_marked());
}

static PyMethodDef process_functions[] = {
    {"early", process_early, METH_NOARGS, NULL},
    {"wait", process_wait, METH_NOARGS, NULL},
    {"has_ended", process_has_ended, METH_O, NULL},
    {"forward_answer", process_forward_answer, METH_NOARGS, NULL},
    {"is_marked", process_is_marked, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef process_module = {PyModuleDef_HEAD_INIT, .m_name = PROCESS, .m_methods = process_functions};

static PyObject *PyInit_process(void)
{
    return PyModuleDef_Init(&process_module);
}

static PyObject *setns_setns(PyObject *self, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (setns(number, CLONE_NEWNET) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef setns_functions[] = {
    {"setns", setns_setns, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef setns_module = {PyModuleDef_HEAD_INIT, .m_name = SETNS, .m_methods = setns_functions};

static PyObject *PyInit_setns(void)
{
    return PyModuleDef_Init(&setns_module);
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
    {SETNS, PyInit_setns},
    BUILT_IN
    {NULL, NULL},
};

/* Part of the second phase, and without it `_signal` is not ready. No handlers are installed: 0. */
extern int _PySignal_Init(int install_signal_handlers);

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

/* The absolute path of this executable. 0 when it is not known: without /proc, or where it is too long for the kernel or
 * out of this process's root ("(unreachable)/..."). Nothing is looked for beside it then: a path without its beginning is
 * one of the current directory. */
static int own_path(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size);
    if (length <= 0 || (size_t)length >= size || *path != '/')
        return 0;
    path[length] = '\0';
    return 1;
}

/* sys.argv, and sys.executable, which is empty when it is not known. */
static int tell_sys(int argc, char **argv)
{
    char path[PATH_MAX];
    if (!own_path(path, sizeof path))
        *path = '\0';
    PyObject *program = PyUnicode_DecodeUTF8(path, (Py_ssize_t)strlen(path), "surrogateescape"), *words = PyList_New(argc);
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
    char path[PATH_MAX + sizeof COMMANDS];
    if (argc < 1 || strcmp(name_of(argv[0]), "eni-ledger") != 0)
        return;
    for (int i = 1; i < argc && i < 4; i++)
        if (strcmp(argv[i], "who") == 0 || strcmp(argv[i], "list") == 0)
            return;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "CNI_", 4) == 0)
            return;
    if (!own_path(path, PATH_MAX))
        return;
    strcpy(strrchr(path, '/'), COMMANDS);
    char *typed = argv[0];
    argv[0] = path;
    execv(path, argv);
    argv[0] = typed;
}

/* Nothing of ours can run: says so on standard error, and to a runtime in the form that it reads. */
static void give_up(int argc, const char *what, const char *why)
{
    int is_call = early.failed || early.given;
    say(what, why);
    for (size_t i = 0; argc <= 1 && i < sizeof OF_THE_CALL / sizeof *OF_THE_CALL; i++)
        is_call |= getenv(OF_THE_CALL[i].variable) != NULL;
    if (recorder.pid != -1 && (is_call || getenv("CNI_COMMAND"))) {
        if (!early.given && !isatty(0))
            read_input();
        answer_error(input.at, INTERNAL, what, why);
    }
    _exit(1);
}

/* front_door.py ends the process. To come back from it means that it could not begin. */
int main(int argc, char **argv)
{
    hand_over(argc, argv);
    ignore_failing_writes();
    start_early(argc, argv);
    if (early.pid)
        fork_recorder();
    if (early.pid && recorder.pid != -1)
        supervise();
    populate_data();
    PyStatus status = configure();
    if (PyStatus_Exception(status))
        give_up(argc, "the interpreter does not start", status.err_msg ? status.err_msg : "no reason given");
    if (_PySignal_Init(0) < 0 || tell_sys(argc, argv) < 0 || PyImport_ImportFrozenModule("front_door") <= 0) {
        PyObject *kind, *value, *trace;
        PyErr_Fetch(&kind, &value, &trace);
        PyObject *text = value ? PyObject_Str(value) : NULL, *bytes = text ? PyUnicode_EncodeFSDefault(text) : NULL;
        const char *why = bytes ? PyBytes_AS_STRING(bytes) : NULL;
        give_up(argc, "the installation is damaged", why ? why : "no reason given");
    }
    give_up(argc, "the installation is damaged", "it has come to no end");
}
