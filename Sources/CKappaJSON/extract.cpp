// The requested fields, and the extraction of a block of events.
#include "lines.hpp"
#include "marks.hpp"

using namespace kappa;

namespace {

uint32_t target_for(Node &node, const std::string &text) {
  for (const Name &name : node.names)
    if (name.text == text) return name.target;
  uint32_t target = static_cast<uint32_t>(node.targets.size());
  node.targets.emplace_back();
  node.names.push_back({text, target});
  return target;
}

// The property with these names, the first of which is its own.
Property &property_for(Node &node, const char *const *names, size_t count) {
  std::vector<std::string> wanted(names, names + count);
  for (Property &property : node.properties)
    if (property.names == wanted) return property;
  uint32_t index = static_cast<uint32_t>(node.properties.size());
  for (size_t i = 0; i < count; i++)
    node.targets[target_for(node, wanted[i])].uses.push_back({index, i == 0});
  node.properties.emplace_back();
  node.properties.back().names = std::move(wanted);
  node.has_own.push_back(0);
  node.has_aliases |= count > 1;
  return node.properties.back();
}

}  // namespace

extern "C" {

kj_extractor *kj_extractor_new(void) { return new kj_extractor(); }
void kj_extractor_free(kj_extractor *x) { delete x; }

kj_extractor *kj_extractor_copy(const kj_extractor *x) {
  auto *copy = new kj_extractor();
  copy->nodes = x->nodes;
  copy->kinds = x->kinds;
  return copy;
}

uint32_t kj_add_object(kj_extractor *x, uint32_t parent, const char *const *names, size_t count) {
  Property &property = property_for(x->nodes[parent], names, count);
  if (property.node != kNone) return property.node;
  uint32_t node = property.node = static_cast<uint32_t>(x->nodes.size());
  // This may move the property.
  x->nodes.emplace_back();
  return node;
}

uint32_t kj_add_field(kj_extractor *x, uint32_t parent, const char *const *names, size_t count,
                      kj_kind kind, kj_time_unit unit) {
  uint32_t column = static_cast<uint32_t>(x->kinds.size());
  x->kinds.push_back({kind, unit});
  property_for(x->nodes[parent], names, count).columns.push_back(column);
  return column;
}

kj_batch *kj_batch_new(const kj_extractor *x) {
  auto *batch = new kj_batch();
  for (const auto &[kind, unit] : x->kinds) {
    batch->columns.emplace_back();
    batch->columns.back().kind = kind;
    batch->columns.back().unit = unit;
  }
  return batch;
}

void kj_batch_free(kj_batch *batch) { delete batch; }

kj_column kj_batch_column(const kj_batch *batch, uint32_t index) {
  auto &column = const_cast<Column &>(batch->columns[index]);
  return {column.kind,           column.states.data(),  column.integers.data(),
          column.doubles.data(), column.strings.data(), column.scales.data()};
}

const uint32_t *kj_batch_starts(const kj_batch *batch) { return batch->starts.data(); }

}  // extern "C"

namespace {

// Makes room for events; false where there is nothing to read, or too much.
bool prepare(kj_batch &batch, size_t length, size_t count) {
  batch.arena.clear();
  for (Column &column : batch.columns) column.resize(count);
  if (batch.starts.size() < count + 1) batch.starts.resize(count + 1);
  batch.starts[0] = 0;
  batch.starts[count] = static_cast<uint32_t>(length);
  return count > 0 && length <= UINT32_MAX - KJ_PADDING;
}

}  // namespace

extern "C" {

bool kj_extract(kj_extractor *x, const char *data, size_t length, size_t count, kj_batch *batch) {
  if (!prepare(*batch, length, count)) return count == 0 && length == 0;
  LineWalk lines(*x, *batch, data, length);
  MarkWalk marks(*x, *batch, data, length);
  const char *p = data;
  const char *end = data + length;
  // After this many events with new shapes, it is cheaper to find the structure of all the rest at
  // once.
  size_t new_shapes_left = 8 + count / 16;
  for (size_t event = 0; event < count; event++) {
    while (p < end && is_space(*p)) p++;
    batch->starts[event] = static_cast<uint32_t>(p - data);
    if (const char *next = lines.event(p, event)) {
      p = next;
      continue;
    }
    if (new_shapes_left-- == 0) return marks.events(p, end, event, count - event);
    const void *newline = std::memchr(p, '\n', static_cast<size_t>(end - p));
    const char *next = newline ? static_cast<const char *>(newline) : end;
    if (!marks.events(p, next, event, 1)) return false;
    p = next;
  }
  while (p < end && is_space(*p)) p++;
  return p == end;
}

bool kj_is_readable(const char *data, size_t length) {
  static thread_local kj_extractor none;
  static thread_local kj_batch batch;
  return kj_extract_checked(&none, data, length, 1, &batch);
}

bool kj_extract_checked(kj_extractor *x, const char *data, size_t length, size_t count,
                        kj_batch *batch) {
  if (!prepare(*batch, length, count)) return count == 0 && length == 0;
  return MarkWalk(*x, *batch, data, length).events(data, data + length, 0, count);
}
}
