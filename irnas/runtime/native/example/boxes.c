/* Targets in raw frames of 8 bits a pixel, from standard input:
 *
 *   boxes MODEL HEIGHT WIDTH < frames.raw
 */
#include <stdio.h>
#include <stdlib.h>
#include <xnor.h>

#define MOST_BOXES 256

static void* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  void* bytes = NULL;
  long length = -1;
  if (file == NULL) return NULL;
  if (fseek(file, 0, SEEK_END) == 0) length = ftell(file);
  rewind(file);
  if (length > 0) bytes = malloc((size_t)length);
  if (bytes != NULL && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  *size = bytes == NULL ? 0 : (size_t)length;
  return bytes;
}

static int run(xnor_model* model, int height, int width) {
  const size_t pixels = (size_t)height * (size_t)width;
  unsigned char* frame = malloc(pixels);
  float* probabilities = malloc(pixels * sizeof *probabilities);
  xnor_box boxes[MOST_BOXES];
  xnor_info info;
  size_t num = 0;
  int code = frame == NULL || probabilities == NULL ? XNOR_MEMORY : XNOR_OK;
  xnor_describe(model, &info);
  for (long n = 0; code == XNOR_OK && fread(frame, 1, pixels, stdin) == pixels; ++n) {
    code = xnor_run(model, frame, height, width, XNOR_U8, 1, probabilities);
    if (code == XNOR_OK) code = xnor_find_boxes(probabilities, height, width, info.threshold, boxes, MOST_BOXES, &num);
    for (size_t i = 0; code == XNOR_OK && i < num && i < MOST_BOXES; ++i)
      printf("frame %ld: %dx%d at %d, %d, score %.6f\n", n, (int)boxes[i].width, (int)boxes[i].height, (int)boxes[i].x,
             (int)boxes[i].y, (double)boxes[i].score);
  }
  free(frame);
  free(probabilities);
  return code;
}

int main(int argc, char** argv) {
  const int height = argc == 4 ? atoi(argv[2]) : 0, width = argc == 4 ? atoi(argv[3]) : 0;
  char error[256];
  xnor_model* model = NULL;
  size_t size = 0;
  void* bytes;
  int code;
  if (height < 1 || width < 1) {
    fprintf(stderr, "usage: boxes MODEL HEIGHT WIDTH < frames.raw\n");
    return 2;
  }
  bytes = read_file(argv[1], &size);
  code = xnor_load(bytes, size, NULL, &model, error, sizeof error);
  free(bytes);
  if (code != XNOR_OK) {
    fprintf(stderr, "%s: %s\n", argv[1], error);
    return 2;
  }
  /* Once for a size of frames: this takes all the memory that running needs. */
  code = xnor_prepare(model, height, width, 1, 1, XNOR_AUTO);
  if (code == XNOR_OK) code = run(model, height, width);
  if (code != XNOR_OK) fprintf(stderr, "%s\n", xnor_error());
  xnor_free(model);
  return code == XNOR_OK ? 0 : 2;
}
