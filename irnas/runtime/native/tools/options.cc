#include "options.h"

#include <cstdio>
#include <cstdlib>

namespace xnor::tools {

const char kUsage[] =
    "usage: xnor-run MODEL IMAGE... [options]\n"
    "       xnor-run MODEL - --raw HxW [options]                     raw frames from standard input, as they come\n"
    "       xnor-run MODEL --watch FOLDER [options]                  images of a folder, as they come\n"
    "       xnor-run MODEL --verify [--threads N] [--kernels NAME]   repeat the reference run that the file holds\n"
    "  IMAGE            PGM (8 or 16 bits), NumPy array (uint8, uint16 or float32, [H,W] or [N,H,W]), or raw frames\n"
    "  --boxes          print each target as a line of JSON: frame (from 0), image (not of standard input), x and y\n"
    "                   (its left column and top row), width, height, area (pixels), score (highest probability)\n"
    "  -o FOLDER        write each mask as FOLDER/NAME.pgm (255 where the probability exceeds the threshold)\n"
    "  -o -             write masks to standard output, frame by frame, a byte a pixel\n"
    "  --probability    write 255 times the probability instead\n"
    "  --threshold P    default: the model's own, which is 0.5 where it has none\n"
    "  --raw HxW        size of raw frames\n"
    "  --bits N         of a pixel of raw frames: 8 (default) or 16, the low byte first\n"
    "  --range LOW,HIGH counts of 16-bit images that become 0 and 255, or P%,Q%: percentiles of all images given;\n"
    "                   default: those that the model holds, else 0.01%,99.99%. Of frames as they come: LOW,HIGH\n"
    "  --threads N      default 1\n"
    "  --kernels NAME   one of those that run here, instead of the best; XNOR_KERNELS does the same\n"
    "  --repeat N       run each image N times for the timing, default 1\n";

namespace {

std::string read_integer(const std::string& option, const char* text, int least, int most, int* out) {
  char* stop = nullptr;
  const long value = std::strtol(text, &stop, 10);
  if (stop == text || *stop != '\0' || value < least || value > most)
    return option + ": got " + text + "; must be " + std::to_string(least) + ".." + std::to_string(most);
  *out = static_cast<int>(value);
  return "";
}

std::string read_threshold(const char* text, double* out) {
  char* stop = nullptr;
  *out = std::strtod(text, &stop);
  const bool good = stop != text && *stop == '\0' && *out >= 0 && *out <= 1;
  return good ? "" : "--threshold: got " + std::string(text) + "; must be 0..1";
}

std::string read_size(const char* text, Options* out) {
  int used = 0;
  const int num = std::sscanf(text, "%dx%d%n", &out->raw_height, &out->raw_width, &used);
  if (num == 2 && text[used] == '\0' && out->raw_height > 0 && out->raw_width > 0) return "";
  return "--raw: got " + std::string(text) + "; must be HxW, such as 256x256";
}

std::string read_option(const std::string& word, const char* value, Options* out) {
  if (word == "--threads") return read_integer(word, value, 1, 256, &out->threads);
  if (word == "--repeat") return read_integer(word, value, 1, 1 << 30, &out->repeat);
  if (word == "--bits") return read_integer(word, value, 1, 16, &out->bits);
  if (word == "--threshold") return read_threshold(value, &out->threshold);
  if (word == "--raw") return read_size(value, out);
  if (word == "--range") {
    out->has_range = true;
    return parse_range(value, &out->range);
  }
  (word == "-o" ? out->folder : word == "--kernels" ? out->kernels : out->watched) = value;
  return "";
}

bool is_valued(const std::string& word) {
  for (const char* known :
       {"-o", "--kernels", "--watch", "--threads", "--repeat", "--bits", "--threshold", "--raw", "--range"})
    if (word == known) return true;
  return false;
}

// What only all words together can tell.
std::string check(const Options& options) {
  const size_t num_images = options.paths.size() - (options.paths.empty() ? 0 : 1);
  if (options.paths.empty()) return "got no file; must be a model and images";
  if (options.verify)
    return num_images || !options.watched.empty() ? "--verify: got images; must be a model alone" : "";
  if (options.watched.empty() ? num_images == 0 : num_images != 0)
    return "got " + std::to_string(num_images) + " images; must be " +
           (options.watched.empty() ? "some" : "none, or no --watch");
  for (size_t i = 1; i < options.paths.size(); ++i)
    if (options.paths[i] == "-" && options.paths.size() > 2) return "-: got other images too; must be alone";
  if (options.bits != 8 && options.bits != 16)
    return "--bits: got " + std::to_string(options.bits) + "; must be 8 or 16";
  if (!options.is_stream()) return "";
  if (options.watched.empty() && options.raw_height == 0)
    return "--raw: got nothing; must be the size of the frames, such as 256x256";
  if (options.repeat > 1)
    return "--repeat: got " + std::to_string(options.repeat) + " with frames as they come; must be left out";
  return options.has_range && !options.range.is_fixed
             ? "--range: got percentiles of frames that are still to come; must be LOW,HIGH"
             : "";
}

}  // namespace

std::string parse_options(int argc, char** argv, Options* out) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    bool* flag = word == "--probability" ? &out->probability
                 : word == "--verify"    ? &out->verify
                 : word == "--boxes"     ? &out->boxes
                                         : nullptr;
    if (flag != nullptr) {
      *flag = true;
    } else if (word.size() < 2 || word[0] != '-') {
      out->paths.push_back(word);
    } else if (!is_valued(word)) {
      return word + ": got an unknown option; see --help";
    } else if (i + 1 == argc) {
      return word + ": got no value; must have one";
    } else if (std::string error = read_option(word, argv[++i], out); !error.empty()) {
      return error;
    }
  }
  if (out->boxes && out->writes_masks_to_stdout()) return "-o: got - with --boxes; must be a folder, or one of the two";
  return check(*out);
}

}  // namespace xnor::tools
