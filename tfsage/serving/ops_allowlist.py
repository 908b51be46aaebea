"""Which operations an exported model may use: those linked into the stock TensorFlow Serving 2.20 binary."""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfsage.errors import TfsageError

TEXT_OPS = frozenset(
    [
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
        "TFText>BoiseTagsToOffsets",
        "TFText>ByteSplitByOffsets",
        "TFText>ByteSplitWithOffsets",
        "TFText>FastSentencepieceDetokenize",
        "TFText>FastSentencepieceTokenize",
        "TFText>FastWordpieceDetokenize",
        "TFText>NgramsStringJoin",
        "TFText>OffsetsToBoiseTags",
        "TFText>PhraseDetokenize",
        "TFText>RoundRobinGenerateMasks",
        "TFText>RoundRobinTrim",
        "TFText>Utf8Binarize",
        "TFText>WhitespaceTokenizeWithOffsetsV2",
    ]
)
"""What TensorFlow Text 2.20 adds to the stock binary."""

_NEED_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


def check_servable_ops(saved_model_dir: str | Path) -> list[str]:
    """The operations of a SavedModel that stock TensorFlow Serving 2.20 cannot run, sorted; empty if all is well.

    TensorFlow's own operations are those that it has public wrappers for, so that the answer does not depend on which
    operation libraries happen to be loaded in this process.

    Raises:
        TfsageError: the folder holds no SavedModel.
    """
    path = Path(saved_model_dir) / "saved_model.pb"
    try:
        model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise TfsageError(f"{path}: not a SavedModel ({error}); export the tower again") from None
    used = set()
    for graph in (meta_graph.graph_def for meta_graph in model.meta_graphs):
        used.update(node.op for node in graph.node)
        for function in graph.library.function:
            used.update(node.op for node in function.node_def)
        # A node may name a function instead of an operation.
        used.difference_update(function.signature.name for function in graph.library.function)
    return sorted(op for op in used if not _is_servable(op))


def _is_servable(op: str) -> bool:
    return op in TEXT_OPS or (hasattr(tf.raw_ops, op) and op not in _NEED_PYTHON)
