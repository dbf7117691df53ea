<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use Voxgate\Shim\Call;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Result;
use Voxgate\Shim\SharedData;

/** Figures from a fixture, and said to be one. Legacy fields: `campaigns`, `totals`. */
final class Marketing implements Endpoint
{
    private const PERIOD = '30d';

    public function answer(Call $call): Result
    {
        $all = SharedData::load('marketing');
        $period = $call->query->period ?? self::PERIOD;
        $figures = $all->periods->{$period};
        $data = ['fixture' => $all->fixture, 'period' => $period, 'currency' => $all->currency, ...(array) $figures];
        return new Result($data, ['campaigns' => $figures->campaigns, 'totals' => $figures->totals]);
    }
}
