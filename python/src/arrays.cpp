#include "arrays.h"

#include <nanobind/stl/string.h>

#include "bindings.h"
#include "tomograph/base/error.h"
#include "tomograph/store/dtype.h"

namespace tomograph::python {

Matrix matrix_of(const Floats& array) {
    return MatrixView(array.data(), static_cast<Eigen::Index>(array.shape(0)),
                      static_cast<Eigen::Index>(array.shape(1)));
}

MatrixD matrix_of(const Doubles& array) {
    return Eigen::Map<const MatrixD>(array.data(), static_cast<Eigen::Index>(array.shape(0)),
                                     static_cast<Eigen::Index>(array.shape(1)));
}

VectorD vector_of(const Numbers& array) {
    return Eigen::Map<const VectorD>(array.data(), static_cast<Eigen::Index>(array.shape(0)));
}

nb::any json_object(const Json& json) {
    switch (json.type()) {
        case Json::value_t::object: {
            nb::dict dict;
            for (const auto& [key, value] : json.items()) dict[key.c_str()] = json_object(value);
            return anything(dict);
        }
        case Json::value_t::array: {
            nb::list list;
            for (const Json& value : json) list.append(json_object(value));
            return anything(list);
        }
        case Json::value_t::string: {
            const std::string& text = json.get_ref<const std::string&>();
            return anything(nb::steal(
                PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace")));
        }
        case Json::value_t::boolean:
            return anything(nb::bool_(json.get<bool>()));
        case Json::value_t::number_integer:
            return anything(nb::int_(json.get<std::int64_t>()));
        case Json::value_t::number_unsigned:
            return anything(nb::int_(json.get<std::uint64_t>()));
        case Json::value_t::number_float:
            return anything(nb::float_(json.get<double>()));
        default:
            return anything(nb::none());
    }
}

Json json_of(nb::handle object) {
    const nb::object dumps = nb::module_::import_("json").attr("dumps");
    std::string text;
    try {
        text = nb::cast<std::string>(dumps(object));
    } catch (nb::python_error& error) {
        throw Error("this is nothing that JSON can say",
                    error.value().attr("args").is_none() ? "" : nb::cast<std::string>(nb::str(error.value())),
                    "");
    }
    try {
        return parse_json(text);
    } catch (const Json::exception& error) {
        throw Error("this is nothing that JSON can say", error.what(), "");
    }
}

ArrayRows::ArrayRows(AnyArray array) : array_(std::move(array)) {
    if (array_.ndim() != 2)
        throw Error("an array of " + std::to_string(array_.ndim()) + " dimensions is no set of rows", "",
                    "give [n_rows, n_features]");
    const auto type = array_.dtype();
    bits_ = type.bits;
    if (type.code != static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) || type.lanes != 1 ||
        (bits_ != 16 && bits_ != 32 && bits_ != 64))
        throw Error("these rows cannot be read", "they are neither float16, float32 nor float64",
                    "convert them with .astype(numpy.float32)");
    begin_ = static_cast<const char*>(array_.data());
    n_rows_ = static_cast<std::int64_t>(array_.shape(0));
    dim_ = static_cast<std::int64_t>(array_.shape(1));
    row_stride_ = array_.stride(0);
    column_stride_ = array_.stride(1);
}

const float* ArrayRows::data() const {
    const bool plain = bits_ == 32 && column_stride_ == 1 && (row_stride_ == dim_ || n_rows_ <= 1);
    return plain ? reinterpret_cast<const float*>(begin_) : nullptr;
}

void ArrayRows::read(std::int64_t begin, std::int64_t end, float* out) const {
    const std::int64_t n = end - begin;
    const auto map = [&]<typename T>(const T* values) {
        using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
        using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        return Eigen::Map<const Rows, 0, Strides>(values + begin * row_stride_, n, dim_,
                                                  Strides(row_stride_, column_stride_));
    };
    Eigen::Map<Matrix> rows(out, n, dim_);
    if (bits_ == 32) {
        rows = map(reinterpret_cast<const float*>(begin_));
    } else if (bits_ == 64) {
        rows = map(reinterpret_cast<const double*>(begin_)).template cast<float>();
    } else {
        const auto* halves = reinterpret_cast<const std::uint16_t*>(begin_);
        if (column_stride_ == 1) {
            for (std::int64_t i = 0; i < n; ++i)
                from_f16(halves + (begin + i) * row_stride_, out + i * dim_, static_cast<std::size_t>(dim_));
            return;
        }
        const Eigen::Matrix<std::uint16_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> block =
            map(halves);
        from_f16(block.data(), out, static_cast<std::size_t>(n * dim_));
    }
}

GivenRows rows_of(nb::handle given) {
    if (nb::isinstance<Selected>(given)) return {&nb::cast<const Selected&>(given).rows(), nullptr};
    AnyArray array;
    if (!nb::try_cast(given, array))
        throw Error("these rows cannot be read", "they are no array in this machine's memory",
                    "give a NumPy array [n_rows, n_features] or a run's selection");
    auto own = std::make_unique<ArrayRows>(std::move(array));
    const RowSource* rows = own.get();
    return {rows, std::move(own)};
}

}  // namespace tomograph::python
