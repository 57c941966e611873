// Operations that TensorFlow gets from us: registered through its C interface when the binding is loaded, and run like
// its own. Every one has a reference in src/kernels that defines the truth.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_tensor.h"

#if __has_include("absl/log/globals.h")
#include "absl/log/globals.h"
#define QUIET_LOG absl::SetMinLogLevel(absl::LogSeverityAtLeast::kWarning)
#else
#define QUIET_LOG
#endif

// One binary for every processor: the widest vectors that it has are chosen at run time.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define WIDEST __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define WIDEST __attribute__((target_clones("avx2", "default")))
#endif
#else
#define WIDEST
#endif

namespace {

/** One run of an operation: its tensors, and the first thing that went wrong. */
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}

  ~Call() {
    if (TF_GetCode(status_) != TF_OK) TF_OpKernelContext_Failure(context_, status_);
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  TF_Tensor* input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    return keep(tensor);
  }

  TF_Tensor* output(int index, TF_DataType type, const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    const size_t bytes = count * TF_DataTypeSize(type);
    return keep(TF_AllocateOutput(context_, index, type, shape.data(), shape.size(), bytes, status_));
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  void fail(const char* message) { TF_SetStatus(status_, TF_INVALID_ARGUMENT, message); }
  TF_OpKernelContext* context() const { return context_; }

 private:
  TF_Tensor* keep(TF_Tensor* tensor) {
    if (tensor != nullptr) tensors_.push_back(tensor);
    return tensor;
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> tensors_;
};

float* floats(TF_Tensor* tensor) { return static_cast<float*>(TF_TensorData(tensor)); }
int32_t* integers(TF_Tensor* tensor) { return static_cast<int32_t*>(TF_TensorData(tensor)); }

std::vector<int64_t> shapeOf(const TF_Tensor* tensor) {
  std::vector<int64_t> shape(TF_NumDims(tensor));
  for (size_t i = 0; i < shape.size(); i++) shape[i] = TF_Dim(tensor, i);
  return shape;
}

constexpr int lanes = 8;
using Lanes = float __attribute__((vector_size(lanes * sizeof(float)), aligned(alignof(float))));

// ---- threads ----

/** As many threads as TensorFlow has inside an operation. */
int threadCount() {
  const char* wanted = std::getenv("TF_NUM_INTRAOP_THREADS");
  const int count = wanted == nullptr ? 0 : std::atoi(wanted);
  return count > 0 ? count : std::max(1u, std::thread::hardware_concurrency());
}

/** Threads that wait for shares of work: starting one anew takes as long as a small product. They live as long as the process. */
class Crew {
 public:
  explicit Crew(int others) {
    for (int i = 0; i < others; i++) std::thread([this] { serve(); }).detach();
  }

  /** Calls work(0) to work(shares - 1), the last ones here; one caller at a time. */
  void run(int64_t shares, const std::function<void(int64_t)>& work) {
    std::lock_guard<std::mutex> alone(callers_);
    {
      std::lock_guard<std::mutex> hold(mutex_);
      work_ = &work, next_ = 0, shares_ = shares, open_ = shares;
    }
    start_.notify_all();
    take();
    std::unique_lock<std::mutex> hold(mutex_);
    done_.wait(hold, [this] { return open_ == 0; });
    work_ = nullptr;
  }

 private:
  void take() {
    std::unique_lock<std::mutex> hold(mutex_);
    while (work_ != nullptr && next_ < shares_) {
      const int64_t share = next_++;
      const auto* work = work_;
      hold.unlock();
      (*work)(share);
      hold.lock();
      if (--open_ == 0) done_.notify_one();
    }
  }

  void serve() {
    for (;;) {
      {
        std::unique_lock<std::mutex> hold(mutex_);
        start_.wait(hold, [this] { return work_ != nullptr && next_ < shares_; });
      }
      take();
    }
  }

  std::mutex callers_, mutex_;
  std::condition_variable start_, done_;
  const std::function<void(int64_t)>* work_ = nullptr;
  int64_t next_ = 0, shares_ = 0, open_ = 0;
};

/** Splits `count` things into ranges of at least `grain` for as many threads as there are; `work` gets [from, end). */
template <typename Work>
void together(int64_t count, int64_t grain, const Work& work) {
  static const int threads = threadCount();
  const int64_t shares = std::min<int64_t>(threads, count / grain);
  if (shares <= 1) return work(0, count);
  // Never taken down: its threads may still wait when the process ends.
  static Crew& crew = *new Crew(threads - 1);
  crew.run(shares, [&](int64_t share) { work(count * share / shares, count * (share + 1) / shares); });
}

// ---- XAdamW: one pass over parameter, gradient and both moments (4 reads and 3 writes per element) ----

struct AdamWFactors {
  float beta1, rest1, beta2, rest2, epsilon, decay, rate, unbias;
};

WIDEST void adamw(int64_t n, const AdamWFactors& f, const float* __restrict p, const float* __restrict g,
                  const float* __restrict m, const float* __restrict v, float* __restrict newP, float* __restrict newM,
                  float* __restrict newV) {
  for (int64_t i = 0; i < n; i++) {
    const float first = m[i] * f.beta1 + g[i] * f.rest1;
    const float second = v[i] * f.beta2 + g[i] * g[i] * f.rest2;
    newM[i] = first;
    newV[i] = second;
    newP[i] = p[i] * f.decay - first * f.rate / (std::sqrt(second * f.unbias) + f.epsilon);
  }
}

/** Parameters, gradients and both moments, N of each, and factors [N, 8]; N new parameters and moments. */
void computeAdamW(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int count = (TF_NumInputs(context) - 1) / 4;
  TF_Tensor* factors = call.input(4 * count);
  if (!call.ok()) return;
  if (TF_TensorByteSize(factors) != count * sizeof(AdamWFactors)) return call.fail("XAdamW: expected factors [N, 8]");
  for (int i = 0; i < count; i++) {
    TF_Tensor *in[4], *out[3];
    for (int j = 0; j < 4; j++) in[j] = call.input(j * count + i);
    if (!call.ok()) return;
    const int64_t n = TF_TensorElementCount(in[0]);
    for (int j = 1; j < 4; j++)
      if (TF_TensorElementCount(in[j]) != n) return call.fail("XAdamW: shapes differ");
    for (int j = 0; j < 3; j++) out[j] = call.output(j * count + i, TF_FLOAT, shapeOf(in[0]));
    if (!call.ok()) return;
    AdamWFactors own;
    std::memcpy(&own, floats(factors) + 8 * i, sizeof own);
    together(n, 1 << 15, [&](int64_t from, int64_t end) {
      adamw(end - from, own, floats(in[0]) + from, floats(in[1]) + from, floats(in[2]) + from, floats(in[3]) + from,
            floats(out[0]) + from, floats(out[1]) + from, floats(out[2]) + from);
    });
  }
}

// ---- XSquareSum: the sum of the squares of all elements of all inputs, one pass ----

WIDEST double squareSum(const float* x, int64_t n) {
  // Sums side by side: floating-point addition may not be reordered by the compiler.
  constexpr int lanes = 16;
  double total = 0;
  int64_t i = 0;
  while (i + lanes <= n) {
    float sums[lanes] = {};
    // Short runs, so that float32 loses nothing that matters.
    const int64_t end = i + 4096 < n ? i + 4096 : n;
    for (; i + lanes <= end; i += lanes)
      for (int lane = 0; lane < lanes; lane++) sums[lane] += x[i + lane] * x[i + lane];
    for (float sum : sums) total += sum;
  }
  for (; i < n; i++) total += static_cast<double>(x[i]) * x[i];
  return total;
}

void computeSquareSum(void*, TF_OpKernelContext* context) {
  Call call(context);
  double total = 0;
  for (int i = 0; i < TF_NumInputs(context); i++) {
    TF_Tensor* x = call.input(i);
    if (!call.ok()) return;
    total += squareSum(floats(x), TF_TensorElementCount(x));
  }
  TF_Tensor* out = call.output(0, TF_FLOAT, {});
  if (call.ok()) floats(out)[0] = static_cast<float>(total);
}

// ---- XMatMul..: C [m, n] = A B, each as it lies (N) or transposed (T); m n k multiply-adds, A, B and C moved once ----

constexpr int64_t tileRows = 6;  // two vectors of columns beside them fill 12 of the 16 vector registers
constexpr int64_t tileColumns = 2 * lanes;
constexpr int64_t depth = 256;          // rows of the right matrix that are packed at a time
constexpr int64_t width = 384;          // columns of it: with that depth they stay in the second cache
constexpr int64_t rangeWork = 1 << 19;  // multiply-adds that are worth a thread

/** A matrix, and how far apart its rows and its columns lie. */
struct Matrix {
  const float* at;
  int64_t row, column;

  Matrix from(int64_t i, int64_t j) const { return {at + i * row + j * column, row, column}; }
  Matrix transposed() const { return {at, column, row}; }
};

/** Up to `wide` columns of a matrix, side by side: [rows, wide], filled up with zeros. */
WIDEST void packColumns(const Matrix& a, int64_t rows, int64_t columns, int64_t wide, float* __restrict out) {
  if (columns < wide) std::memset(out, 0, rows * wide * sizeof(float));
  if (a.column == 1)
    for (int64_t p = 0; p < rows; p++) std::memcpy(out + p * wide, a.at + p * a.row, columns * sizeof(float));
  else
    for (int64_t j = 0; j < columns; j++)
      for (int64_t p = 0; p < rows; p++) out[p * wide + j] = a.at[p * a.row + j * a.column];
}

/** Where a tile of the product goes, which may lie transposed, and whether it is added to what is there. */
struct Target {
  float* at;
  int64_t row, column;
  bool add;
};

/** One tile: left [rows, k] times packed right [k, 16], of which `columns` count. */
WIDEST void tile(int64_t k, const Matrix& left, int64_t rows, const float* __restrict right, int64_t columns,
                 const Target& c) {
  Lanes sums[tileRows][2];
  const float* row[tileRows];
  for (int64_t r = 0; r < tileRows; r++) {
    sums[r][0] = sums[r][1] = Lanes{};
    row[r] = left.at + (r < rows ? r : 0) * left.row;
  }
  const int64_t step = left.column;
  for (int64_t p = 0; p < k; p++) {
    const Lanes first = *reinterpret_cast<const Lanes*>(right + p * tileColumns);
    const Lanes second = *reinterpret_cast<const Lanes*>(right + p * tileColumns + lanes);
#pragma GCC unroll 6
    for (int r = 0; r < tileRows; r++) {
      const float value = row[r][p * step];
      sums[r][0] += value * first;
      sums[r][1] += value * second;
    }
  }
  if (columns == tileColumns && c.column == 1) {
    for (int64_t r = 0; r < rows; r++)
      for (int half = 0; half < 2; half++) {
        Lanes* out = reinterpret_cast<Lanes*>(c.at + r * c.row + half * lanes);
        *out = c.add ? *out + sums[r][half] : sums[r][half];
      }
    return;
  }
  float whole[tileRows][tileColumns];
  std::memcpy(whole, sums, sizeof whole);
  for (int64_t j = 0; j < columns; j++)
    for (int64_t r = 0; r < rows; r++) {
      float* out = c.at + r * c.row + j * c.column;
      *out = c.add ? *out + whole[r][j] : whole[r][j];
    }
}

/** C = A B: the right matrix is packed, the left one only where its columns are not read in one go. */
void multiply(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, const Target& c) {
  const int64_t panelsAtMost = (std::min(n, width) + tileColumns - 1) / tileColumns;
  std::vector<float> right(std::min(k, depth) * panelsAtMost * tileColumns);
  for (int64_t j = 0; j < n; j += width) {
    const int64_t columns = std::min(width, n - j);
    for (int64_t p = 0; p < k; p += depth) {
      const int64_t deep = std::min(depth, k - p);
      for (int64_t at = 0; at < columns; at += tileColumns)
        packColumns(b.from(p, j + at), deep, std::min(tileColumns, columns - at), tileColumns, &right[at * deep]);
      const int64_t blocks = (m + tileRows - 1) / tileRows;
      together(blocks, 1 + rangeWork / (deep * tileRows * columns), [&](int64_t from, int64_t end) {
        float packed[depth * tileRows];
        for (int64_t i = from * tileRows; i < std::min(end * tileRows, m); i += tileRows) {
          const int64_t rows = std::min(tileRows, m - i);
          Matrix left = a.from(i, p);
          if (left.column != 1) {
            packColumns(left.transposed(), deep, rows, tileRows, packed);
            left = {packed, 1, tileRows};
          }
          for (int64_t at = 0; at < columns; at += tileColumns)
            tile(deep, left, rows, &right[at * deep], std::min(tileColumns, columns - at),
                 {c.at + i * c.row + (j + at) * c.column, c.row, c.column, p > 0});
        }
      });
    }
  }
}

/** C [m, n] = A B, or as the transposed product: whichever packs rows as they lie, or else the smaller matrix. */
void product(int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, float* c) {
  const bool turn = b.column != 1 && (a.row == 1 || m < n);
  if (turn)
    multiply(n, m, k, b.transposed(), a.transposed(), {c, 1, n, false});
  else
    multiply(m, n, k, a, b, {c, n, 1, false});
}

template <bool transposeA, bool transposeB>
void computeMatMul(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *a = call.input(0), *b = call.input(1);
  if (!call.ok()) return;
  if (TF_NumDims(a) != 2 || TF_NumDims(b) != 2) return call.fail("XMatMul: expected two matrices");
  const int64_t m = TF_Dim(a, transposeA), k = TF_Dim(a, !transposeA), n = TF_Dim(b, !transposeB);
  if (TF_Dim(b, transposeB) != k) return call.fail("XMatMul: inner dimensions differ");
  TF_Tensor* out = call.output(0, TF_FLOAT, {m, n});
  if (!call.ok()) return;
  if (k == 0) std::memset(TF_TensorData(out), 0, TF_TensorByteSize(out));
  product(m, n, k, {floats(a), transposeA ? 1 : k, transposeA ? m : 1},
          {floats(b), transposeB ? 1 : n, transposeB ? k : 1}, floats(out));
}

// ---- XMeanSquaredError: the mean of (a - b)^2, and its gradient towards a, 2 (a - b) dy / n; one pass each ----

WIDEST double squaredDistance(const float* a, const float* b, int64_t n) {
  constexpr int lanes = 16;
  double total = 0;
  int64_t i = 0;
  while (i + lanes <= n) {
    float sums[lanes] = {};
    const int64_t end = i + 4096 < n ? i + 4096 : n;
    for (; i + lanes <= end; i += lanes)
      for (int lane = 0; lane < lanes; lane++) {
        const float difference = a[i + lane] - b[i + lane];
        sums[lane] += difference * difference;
      }
    for (float sum : sums) total += sum;
  }
  for (; i < n; i++) total += static_cast<double>(a[i] - b[i]) * (a[i] - b[i]);
  return total;
}

WIDEST void scaledDifference(int64_t n, float factor, const float* a, const float* b, float* __restrict out) {
  for (int64_t i = 0; i < n; i++) out[i] = (a[i] - b[i]) * factor;
}

void computeMeanSquaredError(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *a = call.input(0), *b = call.input(1);
  if (!call.ok()) return;
  const int64_t n = TF_TensorElementCount(a);
  if (TF_TensorElementCount(b) != n) return call.fail("XMeanSquaredError: shapes differ");
  TF_Tensor* out = call.output(0, TF_FLOAT, {});
  if (call.ok()) floats(out)[0] = static_cast<float>(squaredDistance(floats(a), floats(b), n) / n);
}

void computeMeanSquaredErrorGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *a = call.input(0), *b = call.input(1), *dy = call.input(2);
  if (!call.ok()) return;
  const int64_t n = TF_TensorElementCount(a);
  if (TF_TensorElementCount(b) != n) return call.fail("XMeanSquaredErrorGradient: shapes differ");
  TF_Tensor* out = call.output(0, TF_FLOAT, shapeOf(a));
  if (call.ok()) scaledDifference(n, floats(dy)[0] * 2 / n, floats(a), floats(b), floats(out));
}

// ---- XGatherRows: rows of table [K, d] by ids [N], `fill` for ids outside ----

void computeGatherRows(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *table = call.input(0), *ids = call.input(1), *fill = call.input(2);
  if (!call.ok()) return;
  std::vector<int64_t> shape = shapeOf(table);
  if (shape.empty()) return call.fail("XGatherRows: the table is a scalar");
  const int64_t rows = shape[0], n = TF_TensorElementCount(ids);
  int64_t d = 1;
  for (size_t i = 1; i < shape.size(); i++) d *= shape[i];
  shape[0] = n;
  TF_Tensor* out = call.output(0, TF_FLOAT, shape);
  if (!call.ok()) return;
  const float blank = floats(fill)[0];
  for (int64_t i = 0; i < n; i++) {
    const int64_t id = integers(ids)[i];
    float* row = floats(out) + i * d;
    if (id >= 0 && id < rows)
      std::memcpy(row, floats(table) + id * d, d * sizeof(float));
    else
      for (int64_t j = 0; j < d; j++) row[j] = blank;
  }
}

// ---- XSegmentSum: adds up rows of x [N, ...] by ids [N], into [count, ...]; ids outside belong to no segment ----

void computeSegmentSum(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *x = call.input(0), *ids = call.input(1), *count = call.input(2);
  if (!call.ok()) return;
  std::vector<int64_t> shape = shapeOf(x);
  if (shape.empty() || TF_TensorElementCount(ids) != shape[0]) return call.fail("XSegmentSum: expected [N, ...] and [N]");
  const int64_t n = shape[0], segments = integers(count)[0];
  int64_t d = 1;
  for (size_t i = 1; i < shape.size(); i++) d *= shape[i];
  shape[0] = segments;
  TF_Tensor* out = call.output(0, TF_FLOAT, shape);
  if (!call.ok()) return;
  std::memset(TF_TensorData(out), 0, TF_TensorByteSize(out));
  for (int64_t i = 0; i < n; i++) {
    const int64_t id = integers(ids)[i];
    if (id < 0 || id >= segments) continue;
    float* sum = floats(out) + id * d;
    const float* row = floats(x) + i * d;
    for (int64_t j = 0; j < d; j++) sum[j] += row[j];
  }
}

// ---- XNearestCode: the least |c|^2 - 2 x.c, N K d multiply-adds; exact distances of what was found ----

constexpr int group = 4;  // vectors that share one reading of the codes
constexpr int64_t blockBytes = 1 << 17;   // codes that stay in the second cache while all vectors pass
constexpr int64_t threadWork = 1 << 22;   // multiply-adds that are worth a thread

/** Codes [K, d] as panels [K / 8, d, 8] of -2 c, and |c|^2 [K]; the codes that fill the last panel up are infinite. */
struct Panels {
  std::vector<float> values, norms;
};

Panels pack(const float* codes, int64_t count, int64_t d) {
  const int64_t panels = (count + lanes - 1) / lanes;
  Panels packed{std::vector<float>(panels * lanes * d), std::vector<float>(panels * lanes, INFINITY)};
  for (int64_t j = 0; j < count; j++) {
    float norm = 0;
    for (int64_t p = 0; p < d; p++) {
      const float c = codes[j * d + p];
      norm += c * c;
      packed.values[(j / lanes * d + p) * lanes + j % lanes] = -2 * c;
    }
    packed.norms[j] = norm;
  }
  return packed;
}

/** What is least so far for one vector, in each lane; places are panels, as numbers of the same width. */
struct Running {
  Lanes least, place;
};

/** Passes up to `group` vectors over the panels from `first` to `end`. */
WIDEST void pass(const float* x, int64_t rows, int64_t d, const Panels& packed, int64_t first, int64_t end,
                 Running* running) {
  const float* row[group];
  Running now[group];
  for (int r = 0; r < group; r++) row[r] = x + (r < rows ? r : 0) * d, now[r] = running[r < rows ? r : 0];
  for (int64_t panel = first; panel < end; panel++) {
    Lanes scores[group];
    const Lanes norms = *reinterpret_cast<const Lanes*>(packed.norms.data() + panel * lanes);
    for (int r = 0; r < group; r++) scores[r] = norms;
    const float* values = packed.values.data() + panel * d * lanes;
    for (int64_t p = 0; p < d; p++) {
      const Lanes codes = *reinterpret_cast<const Lanes*>(values + p * lanes);
      for (int r = 0; r < group; r++) scores[r] += row[r][p] * codes;
    }
    for (int r = 0; r < group; r++) {
      const auto nearer = scores[r] < now[r].least;  // false for NaN
      now[r].least = nearer ? scores[r] : now[r].least;
      now[r].place = nearer ? Lanes{} + static_cast<float>(panel) : now[r].place;
    }
  }
  for (int64_t r = 0; r < rows; r++) running[r] = now[r];
}

/** The code of the least score; of equally near ones the first, which in each lane it is already. */
int32_t best(const Running& running) {
  int32_t code = 0;
  float score = INFINITY;
  for (int lane = 0; lane < lanes; lane++) {
    const float least = running.least[lane];
    const int32_t candidate = static_cast<int32_t>(running.place[lane]) * lanes + lane;
    if (least < score || (least == score && least < INFINITY && candidate < code)) score = least, code = candidate;
  }
  return code;
}

/** Fills in the codes and distances of n vectors. */
void nearest(const float* x, int64_t n, int64_t d, const float* codes, const Panels& packed, int32_t* indices,
             float* distances) {
  const int64_t panels = packed.norms.size() / lanes;
  const int64_t block = std::max<int64_t>(1, blockBytes / (d * lanes * sizeof(float)));
  std::vector<Running> running(n, Running{Lanes{} + INFINITY, Lanes{}});
  for (int64_t first = 0; first < panels; first += block)
    for (int64_t i = 0; i < n; i += group)
      pass(x + i * d, std::min<int64_t>(group, n - i), d, packed, first, std::min(first + block, panels), &running[i]);
  for (int64_t i = 0; i < n; i++) {
    indices[i] = best(running[i]);
    // |x|^2 - 2 x.c + |c|^2 would lose digits where x is close to c.
    float sum = 0;
    bool broken = false;
    for (int64_t p = 0; p < d; p++) {
      const float value = x[i * d + p], difference = value - codes[indices[i] * d + p];
      sum += difference * difference;
      broken |= std::isnan(value);
    }
    distances[i] = sum;
    if (broken) indices[i] = -1;
  }
}

void computeNearestCode(void*, TF_OpKernelContext* context) {
  Call call(context);
  TF_Tensor *x = call.input(0), *codebook = call.input(1);
  if (!call.ok()) return;
  if (TF_NumDims(x) != 2 || TF_NumDims(codebook) != 2 || TF_Dim(x, 1) != TF_Dim(codebook, 1))
    return call.fail("XNearestCode: expected [N, d] and [K, d]");
  const int64_t n = TF_Dim(x, 0), d = TF_Dim(x, 1), count = TF_Dim(codebook, 0);
  TF_Tensor *indices = call.output(0, TF_INT32, {n}), *distances = call.output(1, TF_FLOAT, {n});
  if (!call.ok()) return;
  const Panels packed = pack(floats(codebook), count, d);
  const int64_t groups = (n + group - 1) / group;
  together(groups, 1 + threadWork / (group * std::max<int64_t>(1, count * d)), [&](int64_t from, int64_t end) {
    const int64_t row = from * group, rows = std::min(end * group, n) - row;
    nearest(floats(x) + row * d, rows, d, floats(codebook), packed, integers(indices) + row, floats(distances) + row);
  });
}

// ---- registration ----

struct Operation {
  const char* name;
  std::vector<const char*> attributes, inputs, outputs;
  void (*compute)(void*, TF_OpKernelContext*);
};

void registerOperation(const Operation& operation) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(operation.name);
  for (const char* attribute : operation.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  for (const char* input : operation.inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* output : operation.outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, &TF_ShapeInferenceContextSetUnknownShape);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(operation.name, "CPU", nullptr, operation.compute, nullptr);
    TF_RegisterKernelBuilder(operation.name, kernel, status);
  }
  TF_DeleteStatus(status);
}

const bool registered = [] {
  QUIET_LOG;
  registerOperation({"XAdamW",
                     {"N: int >= 1"},
                     {"parameters: N * float", "gradients: N * float", "first_moments: N * float",
                      "second_moments: N * float", "factors: float"},
                     {"new_parameters: N * float", "new_first_moments: N * float", "new_second_moments: N * float"},
                     computeAdamW});
  registerOperation({"XGatherRows", {}, {"table: float", "ids: int32", "fill: float"}, {"rows: float"}, computeGatherRows});
  registerOperation({"XMatMulNN", {}, {"a: float", "b: float"}, {"c: float"}, computeMatMul<false, false>});
  registerOperation({"XMatMulNT", {}, {"a: float", "b: float"}, {"c: float"}, computeMatMul<false, true>});
  registerOperation({"XMatMulTN", {}, {"a: float", "b: float"}, {"c: float"}, computeMatMul<true, false>});
  registerOperation({"XMatMulTT", {}, {"a: float", "b: float"}, {"c: float"}, computeMatMul<true, true>});
  registerOperation({"XMeanSquaredError", {}, {"a: float", "b: float"}, {"mean: float"}, computeMeanSquaredError});
  registerOperation({"XMeanSquaredErrorGradient", {}, {"a: float", "b: float", "dy: float"}, {"da: float"},
                     computeMeanSquaredErrorGradient});
  registerOperation({"XNearestCode", {}, {"x: float", "codebook: float"}, {"indices: int32", "distances: float"},
                     computeNearestCode});
  registerOperation({"XSegmentSum", {}, {"x: float", "ids: int32", "count: int32"}, {"sums: float"}, computeSegmentSum});
  registerOperation({"XSquareSum", {"N: int >= 1"}, {"tensors: N * float"}, {"sum: float"}, computeSquareSum});
  return true;
}();

}  // namespace
