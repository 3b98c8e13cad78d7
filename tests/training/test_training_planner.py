"""The planner: what it chooses, what its estimates are worth, and what it writes."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pangu_settings import UserError
from training import ModelSettings, TrainingSettings, load_settings
from training.commands.parallel import parallel
from training.layout import Layout
from training.planner.memory import estimate_memory, in_flight, parameters_of_stages
from training.planner.plans import Plan, layouts, make_plans, settings_of, why_it_loses
from training.planner.simulation import simulate_rank
from training.planner.step_time import (
    DEVICES,
    GIB,
    Cluster,
    Link,
    estimate_time,
    operations_per_token,
    parse_links,
)


def cluster(devices: int, device: str = "h100", links: str | None = None) -> Cluster:
    kind = DEVICES[device]
    return Cluster(devices, kind, parse_links(links or kind.links, devices))


def of_preset(name: str, batch: int, **layout: Any) -> TrainingSettings:
    settings = settings_of(ModelSettings.model_validate({"preset": name}), batch)
    return settings.model_copy(update={"layout": Layout(**layout)})


def plans(name: str, batch: int, where: Cluster) -> list[Plan]:
    return make_plans(of_preset(name, batch), where)


def test_the_papers_machine_gets_the_papers_degrees() -> None:
    """PanGu-α §4.1: 16 stages, matrices in 8 slices, 16 data-parallel ranks for 200B on 2,048."""
    best = plans("200B", 256, cluster(2048, "ascend910"))[0]
    assert best.fits
    assert (best.layout.pp, best.layout.data_parallel, best.layout.tp) == (16, 16, 8)


def test_a_model_that_fits_one_device_is_not_cut() -> None:
    best = plans("350M", 64, cluster(8))[0]
    assert (best.layout.pp, best.layout.tp, best.layout.data_parallel) == (1, 1, 8)
    assert best.layout.rematerialise == "off"


def test_every_layout_uses_all_devices_and_fits_model_and_batch() -> None:
    settings = of_preset("2.6B", 96)
    found = list(layouts(settings, cluster(24)))
    assert len({layout.model_dump_json() for layout in found}) == len(found) > 50
    for layout in found:
        assert layout.ranks == 24
        assert layout.tp <= 8
        layout.check(layers=32, heads=32, sequence_length=1024, batch=96)


def test_what_the_machine_does_not_decide_is_kept() -> None:
    settings = of_preset("350M", 8, compile=True, attention="flex")
    for layout in layouts(settings, cluster(8)):
        assert layout.compile
        assert layout.attention == "flex"


def test_slices_stay_inside_a_server() -> None:
    where = cluster(64, links="4@450,*@50")
    assert {layout.tp for layout in layouts(of_preset("13B", 64), where)} == {1, 2, 4}


def test_a_rank_of_the_table_is_aligned() -> None:
    where = cluster(16, links="16@450")
    # 40,000 rows over 16 ranks are 2,500, which is no multiple of 8.
    assert 16 not in {layout.tp for layout in layouts(of_preset("2.6B", 64), where)}


def test_less_memory_costs_time() -> None:
    roomy = plans("13B", 64, cluster(16))[0]
    tight = plans("13B", 64, cluster(16, "ascend910", DEVICES["h100"].links))[0]
    assert roomy.memory.total > tight.memory.total
    assert tight.fits
    assert tight.memory.total < 32 * GIB * 0.92


def test_what_does_not_fit_comes_last_and_says_what_it_needs() -> None:
    where = cluster(8, "ascend910")
    ranked = plans("13B", 8, where)
    fits = [plan.fits for plan in ranked]
    assert fits == sorted(fits, reverse=True)
    assert not fits[-1]
    assert "GiB of 29" in why_it_loses(ranked[-1], ranked[0], where)


def test_slow_far_links_make_a_pipeline_worth_its_bubble() -> None:
    fast = plans("13B", 256, cluster(32, links="8@450,*@400"))[0]
    slow = plans("13B", 256, cluster(32, links="8@450,*@1"))[0]
    assert fast.layout.pp == 1
    assert slow.layout.pp > 1


def test_racks_decide_who_is_near_whom() -> None:
    """PanGu-α Fig. 5: stages inside a rack, copies across racks, where racks are far apart."""
    settings = of_preset("13B", 512, pp=8, dp_shard=8, tp=8, micro_batches=32)
    where = cluster(512, links="8@450,64@100,*@2")
    stages_near = estimate_time(settings, where, "pp")
    copies_near = estimate_time(settings, where, "dp")
    assert stages_near.pipeline < copies_near.pipeline
    assert copies_near.data < stages_near.data


def test_the_bubble_is_the_share_that_the_schedule_has() -> None:
    plain = of_preset("13B", 64, pp=8, micro_batches=32)
    time = estimate_time(plain, cluster(8))
    passes = time.products + time.recomputation + time.tensor + time.pipeline
    assert time.bubble / passes == pytest.approx(7 / 32)
    options = {"pp": 8, "micro_batches": 32, "interleave": 2, "schedule": "Interleaved1F1B"}
    interleaved = estimate_time(of_preset("13B", 64, **options), cluster(8))
    assert interleaved.bubble < 0.55 * time.bubble


def test_operations_are_those_of_the_palm_convention() -> None:
    # 2.6B: 6 × (12·32·2560² + 40,000·2560) + 12·32·2560·1024.
    assert operations_per_token(of_preset("2.6B", 8)) == pytest.approx(16.72e9, rel=1e-3)
    assert operations_per_token(of_preset("200B", 8)) == pytest.approx(1253.8e9, rel=1e-3)


@pytest.mark.parametrize("name", ["350M", "2.6B", "13B", "200B"])
@pytest.mark.parametrize("pp", [1, 2, 4])
def test_stages_hold_the_whole_model_and_one_more_table(name: str, pp: int) -> None:
    settings = of_preset(name, 8, pp=pp, micro_batches=8)
    model = settings.model
    held = sum(parameters_of_stages(settings, position) for position in range(pp))
    copy = model.vocabulary * model.hidden if pp > 1 else 0
    # The final LayerNorm is not counted: two vectors.
    assert held == model.parameter_count + copy - 2 * model.hidden


def test_micro_batches_in_flight() -> None:
    one = Layout(pp=4, micro_batches=8)
    assert [in_flight(one, position) for position in range(4)] == [4, 3, 2, 1]
    two = Layout(pp=4, micro_batches=8, interleave=2, schedule="Interleaved1F1B")
    assert [in_flight(two, position) for position in range(4)] == [11, 9, 7, 5]
    assert in_flight(Layout(micro_batches=8), 0) == 1


# Small, because the simulation of every operation takes the time that its number asks for.
SMALL = {"layers": 8, "hidden": 1024, "heads": 16}
SIMULATED: list[dict[str, Any]] = [
    {},
    {"micro_batches": 2},
    {"rematerialise": "block"},
    {"rematerialise": "operation"},
    {"dp_shard": 4, "micro_batches": 2},
    {"dp_shard": 4, "reshard_after_forward": True, "rematerialise": "block"},
    {"tp": 4},
    {"tp": 4, "dp_shard": 2, "rematerialise": "operation", "micro_batches": 2},
    {"tp": 2, "sequence_parallel": False, "dp_replicate": 2, "dp_shard": 2},
    {"pp": 4, "micro_batches": 4},
    {"pp": 2, "tp": 2, "dp_shard": 2, "micro_batches": 4, "rematerialise": "block"},
    {"pp": 2, "micro_batches": 4, "interleave": 2, "schedule": "Interleaved1F1B", "dp_shard": 2},
]


def ids(layout: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in layout.items()) or "one"


@pytest.mark.parametrize("layout", SIMULATED, ids=ids)
def test_the_estimate_is_within_a_tenth_of_what_a_rank_needs(layout: dict[str, Any]) -> None:
    degrees = Layout(**layout)
    batch = 4 * degrees.data_parallel * degrees.micro_batches
    settings = settings_of(ModelSettings.model_validate(SMALL), batch)
    settings = settings.model_copy(update={"layout": degrees})
    for position in sorted({0, degrees.pp - 1}):
        rank = position * degrees.ranks // degrees.pp
        # A process of its own, because torch keeps one process group for good.
        with multiprocessing.get_context("fork").Pool(1) as pool:
            seen = pool.apply(simulate_rank, (settings, rank))
        estimate = estimate_memory(settings, position)
        assert seen.state == pytest.approx(estimate.state, rel=0.01)
        assert estimate.total == pytest.approx(seen.peak, rel=0.1)


@pytest.mark.slow
def test_all_stages_of_200b_on_2048_devices_are_as_estimated() -> None:
    command = ["200B", "--devices", "2048", "--device", "ascend910", "--batch", "256", "--verify"]
    result = CliRunner().invoke(parallel, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert len(result.output.partition("ratio")[2].strip().splitlines()) == 16


def test_the_papers_way_of_using_its_degrees_takes_less_memory_and_more_time() -> None:
    """One stage of 4 layers on each rank, every block computed again (docs/planning.md)."""
    where = cluster(2048, "ascend910")
    best = plans("200B", 256, where)[0]
    options = {"pp": 16, "dp_shard": 16, "tp": 8, "micro_batches": 16}
    theirs = of_preset("200B", 256, **options, rematerialise="block")
    fullest = max(estimate_memory(theirs, position).total for position in range(16))
    assert fullest / GIB == pytest.approx(14.3, abs=0.1)
    assert best.memory.total / GIB == pytest.approx(21.6, abs=0.1)
    assert estimate_time(theirs, where).total / best.time.total == pytest.approx(1.8, abs=0.05)


@pytest.mark.parametrize(("name", "interleave"), [("1F1B", 1), ("Interleaved1F1B", 2)])
@pytest.mark.parametrize(("pp", "micro_batches"), [(2, 4), (4, 8), (4, 16), (8, 8)])
def test_torchs_schedules_have_as_many_in_flight(
    name: str, interleave: int, pp: int, micro_batches: int
) -> None:
    from torch.distributed.pipelining._schedule_visualizer import get_schedule_ops

    options = {"interleave": interleave, "schedule": name}
    layout = Layout.model_validate({"pp": pp, "micro_batches": micro_batches, **options})
    stages = interleave if interleave > 1 else None
    for position, actions in enumerate(get_schedule_ops(name, pp, micro_batches, stages)):
        kinds = [str(action.computation_type) for action in actions if action is not None]
        waiting = most = 0
        for kind in kinds:
            waiting += kind.endswith(".FORWARD")
            waiting -= kind.endswith(".FULL_BACKWARD")
            most = max(most, waiting)
        assert most == in_flight(layout, position)


@pytest.mark.slow
def test_the_page_shows_what_the_command_prints() -> None:
    page = Path(__file__).parents[2] / "docs" / "planning.md"
    shown = re.findall(r"^\$ pangu parallel (.*)\n([^`]*)^```", page.read_text(), re.MULTILINE)
    assert len(shown) == 5
    for arguments, output in shown:
        result = CliRunner().invoke(parallel, arguments.split(), catch_exceptions=False)
        assert result.output == output


def test_planning_does_without_torch() -> None:
    program = (
        "import sys; from click.testing import CliRunner;"
        "from training.commands.parallel import parallel;"
        "assert CliRunner().invoke(parallel, ['350M', '--devices', '1']).exit_code == 0;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_links_are_read_and_checked() -> None:
    assert parse_links("8@450, *@50", 64) == (Link(8, 450e9), Link(64, 50e9))
    assert cluster(64).bandwidth(8) == 450e9
    assert cluster(64).bandwidth(9) == 50e9
    for wrong in ("8", "8@fast", "0@5,*@1", "8@450,4@50,*@1", "8@-1"):
        with pytest.raises(UserError, match="links: "):
            parse_links(wrong, 64)
    with pytest.raises(UserError, match="joins 8 devices, there are 64"):
        parse_links("8@450", 64)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="no layout of 7 devices divides"):
        plans("2.6B", 5, cluster(7))


def test_the_command_writes_the_layout_and_leaves_the_rest(
    run_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "pretrain.yaml"
    text = (run_folder / "pretrain.yaml").read_text()
    config.write_text(f"# Notes of its author.\nlayout:\n  tp: 2\n  # twice\n{text}")
    command = [str(config), "--devices", "4", "-o", str(config)]
    result = CliRunner().invoke(parallel, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "why not" in result.output
    written = load_settings(config)
    assert written.layout.ranks == 4
    assert written.layout.tp == 1
    assert written.optimisation == load_settings(run_folder / "pretrain.yaml").optimisation
    assert config.read_text().startswith("# Notes of its author.\n")
    again = CliRunner().invoke(parallel, command, catch_exceptions=False)
    assert again.exit_code == 0
    assert load_settings(config) == written


def test_a_new_configuration_is_begun_for_its_author(tmp_path: Path) -> None:
    config = tmp_path / "new.yaml"
    command = ["2.6b", "--devices", "8", "--batch", "64", "-o", str(config)]
    result = CliRunner().invoke(parallel, command, catch_exceptions=False)
    assert result.exit_code == 0
    with config.open("a") as file:
        file.write("data: {shards: shards, tokenizer: tokenizer.model}\n")
    written = load_settings(config, ["optimisation.steps=10"])
    assert written.model.preset == "2.6B"
    assert written.optimisation.batch == 64
    assert written.layout.ranks == 8


def test_no_room_is_a_failure(tmp_path: Path) -> None:
    command = ["13B", "--devices", "2", "--memory", "8", "-o", str(tmp_path / "new.yaml")]
    result = CliRunner().invoke(parallel, command)
    assert result.exit_code == 1
    assert "no layout fits" in result.output
    assert not (tmp_path / "new.yaml").exists()


def test_a_model_that_is_no_preset_and_no_file_is_named_with_the_presets() -> None:
    result = CliRunner().invoke(parallel, ["200C", "--devices", "8"])
    assert isinstance(result.exception, UserError)
    assert "200C: neither a preset (350M, 2.6B, 13B, 200B) nor" in str(result.exception)
