/* The C interface of the XNOR engine. Nothing here throws or prints; xnor_run allocates nothing.
 *
 * Threads. Any thread may call anything at any time, but xnor_free while another call on that model goes on. Calls on
 * one model wait for each other, so threads that share it run one after the other; two models are independent. What is
 * prepared is prepared for all threads: where they run images of several sizes, xnor_run answers XNOR_ARGUMENT for
 * those of another size than the last xnor_prepare, whoever called it. A mask is right, or there is none.
 *
 * Processes. fork() waits for the calls that go on, and the child has every model of its parent. One that was prepared
 * with more than one thread is not prepared in the child, where xnor_run answers XNOR_ARGUMENT until it is. */
#ifndef XNOR_H
#define XNOR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define XNOR_API __attribute__((visibility("default")))
#else
#define XNOR_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when this interface changes. */
#define XNOR_ABI 6

typedef struct xnor_model xnor_model;

enum {
  XNOR_OK = 0,
  XNOR_ARGUMENT = 1, /* the caller asked for something that is not there */
  XNOR_FILE = 2,     /* the bytes are not a model that this engine can run */
  XNOR_NEWER = 3,    /* the file comes from a newer format */
  XNOR_MEMORY = 4    /* no memory for tables or maps */
};

enum {
  XNOR_U8 = 0, /* 0..255, read as value / 255 */
  XNOR_F32 = 1
};

enum {
  XNOR_AUTO = 0,
  XNOR_STREAMED = 1, /* depth first in bands of rows */
  XNOR_LAYERS = 2    /* one op after the other */
};

XNOR_API int xnor_abi(void);

/* Names of the kernel sets that this machine can run, best first, separated by blanks; "reference" is always last. */
XNOR_API const char* xnor_kernels(void);

/* Two yardsticks for benchmarks; the caller takes the time.
 *
 * xnor_spin does that many additions, each of which waits for the one before: one a clock cycle.
 * xnor_count compares words with a kernel set's fastest instructions, all of them at hand, and returns how many pairs
 * of bits it compared: what no block can exceed. 0 for a set that is unknown, does not run here, or has no such
 * instructions. */
XNOR_API uint64_t xnor_spin(uint64_t additions);
XNOR_API uint64_t xnor_count(const char* kernels, uint64_t rounds);

/* Reads a model. The bytes are copied where needed and may be freed afterwards.
 *
 * kernels: the name of a kernel set; null or "" means the one that the environment variable XNOR_KERNELS names, or
 * without it the best. A name that is unknown or that this machine cannot run is XNOR_ARGUMENT.
 * error: receives one line of text on failure, cut at error_size. */
XNOR_API int xnor_load(const void* bytes, size_t size, const char* kernels, xnor_model** model, char* error,
                       size_t error_size);

/* Facts about a model; the texts live as long as it does. */
typedef struct {
  const char* kernels;  /* the set that runs */
  const char* metadata; /* the file's metadata without the graph: a JSON object of texts */
  int32_t channels;     /* of the input */
  int32_t multiple;     /* height and width of a map must be multiples of this */
  int32_t pad;          /* and images are extended to multiples of this; the output has the size of the image */
  int32_t num_ops;
  /* Of the last xnor_prepare, 0 before it: */
  int32_t mode;       /* XNOR_STREAMED or XNOR_LAYERS */
  size_t arena_bytes; /* memory for maps */
  /* Of the file again: 1 where training saw images of more than 8 bits, and the counts that became 0 and 255. */
  int32_t has_counts;
  double counts[2];
  /* A target is where the output exceeds this, rounded to float: the file's, or 0.5 (FORMAT.md, section 6). */
  double threshold;
} xnor_info;

XNOR_API void xnor_describe(const xnor_model* model, xnor_info* info);

/* Plans for images of one size and takes all memory that running needs.
 *
 * extend: 1 extends images to multiples of the model's pad (FORMAT.md, section 6); 0 runs them as they are, so that
 * height and width must be multiples of what its graph needs. threads: 1..256; the result does not depend on it. mode:
 * XNOR_AUTO, or a way of running, for tests. */
XNOR_API int xnor_prepare(xnor_model* model, int32_t height, int32_t width, int32_t extend, int32_t threads,
                          int32_t mode);

/* Runs one image [height][width][channels] of `type` into out [height][width], the probability of a target.
 *
 * height, width: those of the last xnor_prepare; others are XNOR_ARGUMENT. channels: those of the model, or 1, which is
 * repeated. */
XNOR_API int xnor_run(xnor_model* model, const void* image, int32_t height, int32_t width, int32_t type,
                      int32_t channels, float* out);

/* A step of a prepared model: an op, several that run as one, or the part of one that makes a map of its own. */
typedef struct {
  const char* name;                /* what it does, as in "sign" or "block"; lives as long as the library */
  int32_t op;                      /* which op of the file it belongs to, from 0; -1 for none */
  int32_t channels, height, width; /* of the map that it makes */
  uint64_t nanoseconds;            /* of all its rows */
} xnor_step;

/* As xnor_run, and how long each step took. The clock is read once a row, which costs some nanoseconds that count too.
 *
 * The model must be prepared with one thread. steps: receives the first `capacity` of them, in the order in which the
 * first rows are made. num: how many there are, which may be more. */
XNOR_API int xnor_profile(xnor_model* model, const void* image, int32_t height, int32_t width, int32_t type,
                          int32_t channels, float* out, xnor_step* steps, size_t capacity, size_t* num);

/* Counts of more than 8 bits as the bytes that xnor_run takes (FORMAT.md, section 8): low becomes 0 and high 255, which
 * should be the model's `counts`. */
XNOR_API void xnor_map_counts(const uint16_t* counts, size_t num, double low, double high, uint8_t* out);

/* A target: pixels above the threshold that touch each other, corners included. */
typedef struct {
  int32_t x, y;          /* its left column and its top row */
  int32_t width, height; /* of the rectangle around it */
  int32_t area;          /* pixels */
  float score;           /* the highest probability among them */
} xnor_box;

/* The targets of an output [height][width], in the order of their first pixels: row by row, left to right.
 *
 * threshold: what a probability must exceed, rounded to float; the model's own is in xnor_info. boxes: receives the
 * first `capacity` of them. num: how many there are, which may be more. XNOR_MEMORY is the only error. */
XNOR_API int xnor_find_boxes(const float* probabilities, int32_t height, int32_t width, double threshold,
                             xnor_box* boxes, size_t capacity, size_t* num);

/* Repeats the file's reference run (FORMAT.md, section 7); XNOR_FILE if a single bit of the result differs. The model
 * must be prepared anew afterwards. */
XNOR_API int xnor_verify(xnor_model* model, int32_t threads, int32_t mode);

/* What the last failing call of this thread said, xnor_load aside; it lives until the thread's next call. */
XNOR_API const char* xnor_error(void);

XNOR_API void xnor_free(xnor_model* model);

#ifdef __cplusplus
}
#endif

#endif /* XNOR_H */
